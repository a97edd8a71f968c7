"""The service with real models: batching, deadlines, refusals, stopping."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import helper

from penstock.proto import DeadlineExceeded, Kind, Message, ModelInputError, Payload, PenstockError, Unavailable
from penstock.proto.inference import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.serving import Service

    from .conftest import Start


def asked(value: Any, kind: Kind = Kind.TENSOR) -> Message:
    return Message(Payload(kind, np.asarray(value, np.float64)))


def runs_of(service: Service) -> int:
    lines = service.metrics.exposition().decode().splitlines()
    return int(float(next(line for line in lines if line.startswith("penstock_model_run_seconds_count")).split()[1]))


def doubling(onnx_model: Callable[..., Path], rows: int | str = "n") -> Path:
    nodes = [helper.make_node("Add", ["x", "x"], ["y"])]
    return onnx_model(nodes, [("x", "FLOAT", [rows, 2])], [("y", "FLOAT", [rows, 2])])


async def test_requests_of_both_protocols_share_runs_and_keep_their_answers(
    onnx_model: Callable[..., Path], start: Start
) -> None:
    service = await start(doubling(onnx_model))
    dice = random.Random(1)

    async def seldon(number: int) -> None:
        kind = dice.choice([Kind.NDARRAY, Kind.TENSOR, Kind.TFTENSOR])
        rows = dice.randrange(1, 4)
        reply = (await service.predict(asked(np.full((rows, 2), number), kind))).payload
        assert reply is not None
        assert reply.kind is kind
        assert reply.value.tolist() == [[2 * number, 2 * number]] * rows

    async def inference(number: int) -> None:
        (reply,) = await service.infer([Tensor("x", np.full((1, 2), number, np.float32))])
        assert reply.array.tolist() == [[2 * number, 2 * number]]

    async def wrong() -> None:
        with pytest.raises(ModelInputError, match="larger than any"):
            await service.predict(asked([[1e300, 1]]))

    await asyncio.gather(*(call for n in range(150) for call in (seldon(n), inference(n), wrong())))
    assert runs_of(service) < 300 + 150 * 2 * 8
    before = runs_of(service)
    await asyncio.gather(*(seldon(n) for n in range(80)))
    assert runs_of(service) - before <= 2


async def test_rows_that_depend_on_each_other_do_not_share_a_run(onnx_model: Callable[..., Path], start: Start) -> None:
    """A softmax over the rows: each request must be its own whole."""
    node = helper.make_node("Softmax", ["x"], ["y"], axis=0)
    service = await start(onnx_model([node], [("x", "FLOAT", ["n", 2])], [("y", "FLOAT", ["n", 2])]))
    replies = await asyncio.gather(*(service.predict(asked([[n, -n]])) for n in range(20)))
    assert all(reply.payload is not None and reply.payload.value.tolist() == [[1, 1]] for reply in replies)
    assert runs_of(service) == 20


async def test_a_fixed_number_of_rows_is_kept(onnx_model: Callable[..., Path], start: Start) -> None:
    service = await start(doubling(onnx_model, rows=2))
    await asyncio.gather(*(service.predict(asked(np.ones((2, 2)))) for _ in range(3)))
    assert runs_of(service) == 3
    with pytest.raises(ModelInputError, match=r"shape \[2, 2\].* and \[1, 2\] came"):
        await service.predict(asked(np.ones((1, 2))))


async def test_max_batch_of_one_turns_sharing_off(onnx_model: Callable[..., Path], start: Start) -> None:
    service = await start(doubling(onnx_model), max_batch=1)
    await asyncio.gather(*(service.predict(asked([[1, 2]])) for _ in range(5)))
    assert runs_of(service) == 5


# As long as it takes until somebody opens the gate; at once where it is asked with 0.
HELD = """
import time
from pathlib import Path
class SeldonWrapper:
    def predict(self, X, names):
        float(X[0][0])
        ends = time.monotonic() + 60
        while X[0][0] and not Path(__file__).with_name("open").exists() and time.monotonic() < ends:
            time.sleep(0.005)
        return X
"""


def open_gate(model: Path) -> None:
    (model / "open").touch()


async def test_the_shorter_deadline_counts(wrapper: Callable[..., Path], start: Start) -> None:
    model = wrapper(HELD)
    service = await start(model, deadline=0.2)
    with pytest.raises(DeadlineExceeded, match=r"within 0\.2 s"):
        await service.predict(asked([[1]]), deadline=60)
    with pytest.raises(DeadlineExceeded, match=r"within 0\.05 s"):
        await service.predict(asked([[1]]), deadline=0.05)
    open_gate(model)
    with pytest.raises(DeadlineExceeded, match="before the model was asked"):
        await service.predict(asked([[0]]), deadline=-1)


async def test_a_stopping_service_answers_what_it_has_and_takes_nothing_new(
    wrapper: Callable[..., Path], start: Start
) -> None:
    model = wrapper(HELD)
    service = await start(model, drain=60)
    in_flight = [asyncio.create_task(service.predict(asked([[1]]))) for _ in range(3)]
    await asyncio.sleep(0)
    stopping = asyncio.create_task(service.stop())
    await asyncio.sleep(0)
    assert service.ready is False
    for call in (service.predict(asked([[0]])), service.infer([Tensor("x", np.zeros((1, 1)))]), service.health()):
        with pytest.raises(Unavailable):
            await call
    open_gate(model)
    await stopping
    assert all(task.result().payload is not None for task in in_flight)


async def test_a_cancelled_caller_leaves_nothing_behind(wrapper: Callable[..., Path], start: Start) -> None:
    model = wrapper(HELD)
    service = await start(model)
    calls = [asyncio.create_task(service.predict(asked([[1]]))) for _ in range(4)]
    await asyncio.sleep(0.01)
    calls[0].cancel()
    calls[2].cancel()
    open_gate(model)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes] == [True, False, True, False]
    text = service.metrics.exposition().decode()
    assert "penstock_queue_rows 0.0" in text
    assert "penstock_in_flight 0.0" in text


async def test_everything_that_leaves_the_service_is_ours(wrapper: Callable[..., Path], start: Start) -> None:
    service = await start(wrapper(HELD))
    values: list[list[Any]] = [[["a"]], [[None]], [[]], []]
    for value in values:
        with pytest.raises(PenstockError):
            await service.predict(Message(Payload(Kind.NDARRAY, np.array(value, object))))
