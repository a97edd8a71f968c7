"""What a stream's processing costs for each record, without Kafka: from a batch in memory to the batch to be written.

    python -m bench.processing [--records 100000] [--rounds 5] [--batches 256,1024,2048] [--json]

The records are JSON, ``{"id": 7, "x": [5.1, 3.5, 1.4, 0.2]}``; features and answers are ndarrays, the model is the iris
classifier. Three do the work in turn, round by round, and their answers are compared:

- **penstock**: `Processor.process`, which also makes the puid and the headers of each result;
- **by hand**: orjson.loads for each record, one np.array, one run of onnxruntime, orjson.dumps for each row;
- **by hand, same headers**: the same, and for each record what Penstock writes beside the value.

Shown are microseconds of CPU for a record, medians of the rounds, and the ratio of the medians. With ``--grpc`` the
model is behind a Penstock service in a process of its own, whose CPU is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import time
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import orjson
from tests.peers.models import train_iris

from penstock.proto import prediction_pb2 as pb
from penstock.streams import load_stream
from penstock.streams.calls import caller
from penstock.streams.metrics import Metrics
from penstock.streams.patience import Patience
from penstock.streams.processing import Processor
from penstock.streams.records import Record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    Work = Callable[[Sequence[Record]], Awaitable[list[Any]]]
    Answer = Callable[[np.ndarray[Any, Any]], Awaitable[list[list[float]]]]

SPEC = """
name = "iris"
[source]
topic = "measurements"
format = "ndarray"
features = "x"
[service]
{service}
[sink]
topic = "predictions"
format = "ndarray"
"""
OURS, HAND, SAME = "penstock", "by hand", "by hand, same headers"


def made(count: int, rows: int) -> list[Record]:
    """Records as they come from a topic of three partitions."""
    return [
        Record(
            "measurements",
            number % 3,
            number // 3,
            1_790_000_000_000 + number,
            b"station-%d" % (number % 5000),
            json.dumps({"id": number, "x": features(number, rows)}).encode(),
            [],
        )
        for number in range(count)
    ]


def features(number: int, rows: int) -> list[Any]:
    """One row, or a list of rows."""
    row = [5.0 + number % 17 / 10, 3.5, 1.0 + number % 23 / 5, 0.2]
    return row if rows == 1 else [[x + each / 1000 for x in row] for each in range(rows)]


def local(model: Path) -> Answer:
    """The model in this process."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    async def answer(rows: np.ndarray[Any, Any]) -> list[list[float]]:
        return session.run(None, {name: rows.astype(np.float32)})[0].tolist()  # type: ignore[no-any-return]

    return answer


def remote(channel: grpc.aio.Channel) -> Answer:
    """The model behind gRPC, asked with a tensor: the cheapest form that protobuf offers a program written by hand."""
    predict = channel.unary_unary(
        "/seldon.protos.Seldon/Predict", pb.SeldonMessage.SerializeToString, pb.SeldonMessage.FromString
    )

    async def answer(rows: np.ndarray[Any, Any]) -> list[list[float]]:
        tensor = pb.Tensor(shape=rows.shape, values=rows.ravel().tolist())
        reply = (await predict(pb.SeldonMessage(data=pb.DefaultData(tensor=tensor)))).data.tensor
        return np.array(reply.values).reshape(tuple(reply.shape)).tolist()  # type: ignore[no-any-return]

    return answer


def by_hand(answer: Answer, rows: int) -> Work:
    """What somebody would write for this one model."""

    async def work(records: Sequence[Record]) -> list[Any]:
        read = [orjson.loads(record.value or b"")["x"] for record in records]
        answers = await answer(np.array(read).reshape(-1, 4))
        if rows == 1:
            return [orjson.dumps(row) for row in answers]
        return [orjson.dumps(answers[at : at + rows]) for at in range(0, len(answers), rows)]

    return work


def with_headers(work: Work) -> Work:
    """The same, with a puid for each record and the headers of a result."""

    async def more(records: Sequence[Record]) -> list[Any]:
        started = time.perf_counter()
        values = await work(records)
        elapsed = b"%.3f" % ((time.perf_counter() - started) * 1000)
        return [(record.key, value, headers(record, elapsed)) for record, value in zip(records, values, strict=True)]

    return more


def headers(record: Record, elapsed: bytes) -> list[tuple[str, bytes]]:
    place = f"{record.topic}/{record.partition}/{record.offset}/{record.timestamp}"
    return [
        ("puid", blake2b(place.encode(), digest_size=16).hexdigest().encode()),
        ("penstock-stream", b"iris"),
        ("penstock-model", b"iris"),
        ("penstock-version", b""),
        ("penstock-elapsed-ms", elapsed),
    ]


@asynccontextmanager
async def contestants(folder: Path, rows: int, *, is_remote: bool) -> AsyncIterator[dict[str, Work]]:
    """All three, ready to work."""
    model = train_iris(folder / "iris.onnx")
    async with AsyncExitStack() as stack:
        service, answer = f'model = "{model}"', local(model)
        if is_remote:
            address = await stack.enter_async_context(serving(model))
            service = f'address = "grpc://{address}"'
            answer = remote(await stack.enter_async_context(grpc.aio.insecure_channel(address)))
        (folder / "iris.toml").write_text(SPEC.format(service=service))
        stream = load_stream(folder / "iris.toml")
        answers = await stack.enter_async_context(caller(stream.service))
        ours = Processor(stream, answers, Patience(), Metrics(stream.name)).process
        hand = by_hand(answer, rows)
        yield {OURS: ours, HAND: hand, SAME: with_headers(hand)}


@asynccontextmanager
async def serving(model: Path) -> AsyncIterator[str]:
    """A service in a process of its own; its address."""
    import socket
    import sys

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["-m", "penstock.cli", "serve", "--model", str(model), "--grpc-port", str(port), "--http-port", "0"]
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await asyncio.wait_for(channel.channel_ready(), 60)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def measured(work: Work, batches: Sequence[Sequence[Record]]) -> float:
    """Microseconds of CPU for a record."""
    gc.collect()
    started = time.process_time()
    for batch in batches:
        await work(batch)
    return (time.process_time() - started) / sum(map(len, batches)) * 1e6


async def check(works: dict[str, Work], batch: Sequence[Record]) -> None:
    """All have the same answers."""
    wanted = list(map(orjson.loads, await works[HAND](batch)))
    given = [orjson.loads(each.value) for each in await works[OURS](batch)]
    np.testing.assert_allclose(given, wanted, rtol=1e-5)


async def rounds(options: argparse.Namespace, rows: int) -> dict[str, dict[str, float]]:
    """The medians by batch size."""
    records = made(options.records // rows, rows)
    gc.freeze()
    seen: dict[str, dict[str, list[float]]] = {size: {} for size in options.batches.split(",")}
    with TemporaryDirectory() as folder:
        async with contestants(Path(folder), rows, is_remote=options.grpc) as works:
            await check(works, records[: int(options.batches.split(",")[0])])
            for _ in range(options.rounds):
                for size, medians in seen.items():
                    batches = [records[at : at + int(size)] for at in range(0, len(records), int(size))]
                    for name, work in works.items():
                        medians.setdefault(name, []).append(await measured(work, batches))
    return {size: {name: statistics.median(runs) for name, runs in by_name.items()} for size, by_name in seen.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", default="256,1024,2048")
    parser.add_argument("--grpc", action="store_true", help="the model behind a service, not in this process")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = {f"{rows} row{'s' * (rows > 1)} a record": asyncio.run(rounds(options, rows)) for rows in (1, 100)}
    if options.json:
        print(json.dumps(results))
        return
    for name, sizes in results.items():
        for size, medians in sizes.items():
            told = ", ".join(f"{who} {micros:.2f} µs" for who, micros in medians.items())
            ratios = ", ".join(f"{medians[OURS] / medians[who]:.2f} × {who}" for who in (HAND, SAME))
            print(f"{name}, batches of {size}: {told}; penstock is {ratios}")


if __name__ == "__main__":
    main()
