"""Our clients call a real seldon-core-microservice, over each transport and with each kind that it understands."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from penstock.client import AsyncClient, Client
from penstock.proto import Kind, ModelFailure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.peers.servers import Server

    from penstock.client import Prediction

pytestmark = [pytest.mark.peers, pytest.mark.xdist_group("peers")]

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.2, 3.4, 5.4, 2.3]])
FLOWERS = [0, 2]


class InThread:
    """`Client` with the methods of `AsyncClient`, so that one test body runs both."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **options: Any) -> Any:
            return getattr(self._client, name)(*args, **options)

        return call


@asynccontextmanager
async def connected(sort: str, address: str) -> AsyncIterator[Any]:
    if sort == "async":
        async with AsyncClient(address, deadline=20) as client:
            yield client
    else:
        with Client(address, deadline=20) as blocking:
            yield InThread(blocking)


@pytest.fixture(params=["grpc", "rest"])
def address(request: pytest.FixtureRequest, seldon_server: Server) -> str:
    return seldon_server.grpc if request.param == "grpc" else seldon_server.rest


sorts = pytest.mark.parametrize("sort", ["sync", "async"])


def _flowers(prediction: Prediction) -> list[int]:
    return prediction.array.argmax(axis=1).tolist()  # type: ignore[no-any-return]


@sorts
@pytest.mark.parametrize("kind", [None, Kind.NDARRAY, Kind.TENSOR])
async def test_arrays_are_classified(sort: str, kind: Kind | None, address: str) -> None:
    async with connected(sort, address) as client:
        prediction = await client.predict(ROWS, kind=kind, names=["a", "b", "c", "d"])
    assert _flowers(prediction) == FLOWERS
    assert prediction.names == ("setosa", "versicolor", "virginica")
    assert kind is None or prediction.kind == kind


@sorts
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "list"])
async def test_what_a_user_has_needs_no_kind(sort: str, dtype: str, address: str) -> None:
    rows = ROWS.tolist() if dtype == "list" else ROWS.astype(dtype)
    async with connected(sort, address) as client:
        assert _flowers(await client.predict(rows)) == FLOWERS


@sorts
async def test_other_kinds_come_back_as_themselves(sort: str, address: str) -> None:
    async with connected(sort, address) as client:
        assert (await client.predict(bytes(range(256)))).value == bytes(range(256))[::-1]
        assert (await client.predict("Blütenblätter")).value == "BLÜTENBLÄTTER"
        answer = (await client.predict({"petals": [1.5, None, True]})).value
    assert answer == {"got": {"petals": [1.5, None, True]}, "keys": ["petals"]}


@sorts
async def test_what_travels_beside_the_payload_is_kept(sort: str, address: str) -> None:
    async with connected(sort, address) as client:
        prediction = await client.predict(ROWS, puid="flower-7", tags={"garden": "north"})
    assert prediction.puid == "flower-7"
    assert prediction.tags == {"garden": "north", "model": "iris", "version": 1}
    metrics = {metric.key: (metric.type, metric.value) for metric in prediction.message.meta.metrics}
    assert metrics == {"rows": ("COUNTER", 1), "load": ("GAUGE", 0.5), "spent": ("TIMER", 20.25)}


@sorts
async def test_feedback_health_and_metadata(sort: str, address: str) -> None:
    async with connected(sort, address) as client:
        assert await client.ready()
        assert (await client.metadata()).name == "iris"
        prediction = await client.predict(ROWS)
        answer = await client.feedback(request=ROWS, response=prediction, reward=0.5)
    assert answer.array.tolist() == [0.5]


@sorts
async def test_a_failure_there_is_an_error_here(sort: str, address: str) -> None:
    async with connected(sort, address) as client:
        with pytest.raises(ModelFailure, match="Got invalid dimensions"):
            await client.predict(np.ones((1, 3)))
