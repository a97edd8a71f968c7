"""What there is without a door: the model alone, and the service from a request's bytes to the answer's."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from bench import nets

from penstock.proto import Kind, Message, Payload, write_message
from penstock.serving import Settings
from penstock.serving.doors.rpc import Call
from penstock.serving.doors.seldon_grpc import seldon_rpc_door
from penstock.serving.service import Service

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.serving.doors.rpc import RpcHandler

_PREDICT = "/seldon.protos.Seldon/Predict"


def runs(model: Path, name: str, rows: int, seconds: float) -> float:
    """Rows per second of CPU that onnxruntime does by itself, ``rows`` in a run."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    given = {session.get_inputs()[0].name: np.resize(nets.rows(name, rows), (rows, *nets.rows(name, 1).shape[1:]))}
    given = {key: value.astype(np.float32) for key, value in given.items()}
    count, start, end = 0, time.process_time(), time.perf_counter() + seconds
    while time.perf_counter() < end:
        session.run(None, given)
        count += rows
    return count / (time.process_time() - start)


def answers(model: Path, name: str, rows: int, kind: Kind, callers: int, seconds: float) -> float:
    """Calls per second of CPU that the service does between the bytes of a request and those of its answer."""
    body = write_message(Message(Payload(kind, nets.rows(name, rows))))
    return asyncio.run(_answers(Settings(model, grpc_engine="penstock"), Call(body, (), None), callers, seconds))


async def _answers(settings: Settings, call: Call, callers: int, seconds: float) -> float:
    service = await Service.start(settings)
    try:
        handler = seldon_rpc_door(service, settings).methods[_PREDICT]
        await _ask(handler, call, callers, seconds / 4)
        start = time.process_time()
        return await _ask(handler, call, callers, seconds) / (time.process_time() - start)
    finally:
        await service.stop()


async def _ask(handler: RpcHandler, call: Call, callers: int, seconds: float) -> int:
    end, counts = time.perf_counter() + seconds, [0] * callers

    async def caller(number: int) -> None:
        while time.perf_counter() < end:
            await handler(call)
            counts[number] += 1

    await asyncio.gather(*map(caller, range(callers)))
    return sum(counts)
