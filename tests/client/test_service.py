"""The client with the real service: a model in ONNX, both protocols, sync and async."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from penstock.client import AsyncClient, Client, Retries
from penstock.proto import (
    Kind,
    LimitError,
    ModelInputError,
    PayloadError,
    PenstockError,
    Unavailable,
)

pytest.importorskip("onnxruntime")

from penstock.serving.lifecycle import running
from penstock.serving.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

IRIS = Path(__file__).parents[3] / "shared" / "data" / "iris.onnx"
pytestmark = pytest.mark.skipif(not IRIS.exists(), reason="the iris model is not there")

ROW = [[2.0, 5.0, 1.0, 4.0]]


@pytest.fixture
async def service() -> AsyncIterator[Any]:
    settings = Settings(model=IRIS, name="iris", version="1.2", grpc_port=0, http_port=0, drain=1)
    async with running(settings) as server:
        yield server


@pytest.fixture(params=["grpc", "rest"])
async def address(request: pytest.FixtureRequest, service: Any) -> str:
    return str(service.grpc_address if request.param == "grpc" else service.http_address)


async def test_numpy_in_and_numpy_out(address: str) -> None:
    async with AsyncClient(address) as client:
        answer = await client.predict(np.array(ROW), puid="p1")
        made = await client.predict(np.array(ROW))
    assert np.isfinite(answer.array.astype(float)).all()
    assert answer.puid == "p1"
    assert made.puid
    assert (answer.model, answer.version) == ("iris", "1.2")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.array(ROW), Kind.NDARRAY),
        (np.array(ROW), Kind.TENSOR),
        (np.array(ROW), Kind.TFTENSOR),
        (np.array(ROW, np.float32), Kind.TFTENSOR),
        (np.array(ROW, np.int64), Kind.TFTENSOR),
        (ROW, None),
    ],
)
async def test_every_kind_of_array_gets_the_same_answer(address: str, value: Any, kind: Kind | None) -> None:
    async with AsyncClient(address) as client:
        expected = (await client.predict(np.array(ROW))).array
        answer = await client.predict(value, kind=kind)
    np.testing.assert_allclose(answer.array.astype(float), expected.astype(float))
    if kind is not None:
        assert answer.kind is kind


async def test_the_client_of_threads(address: str) -> None:
    def ask() -> Any:
        with Client(address) as client:
            assert client.ready()
            return client.predict(np.array(ROW)).array

    assert (await asyncio.to_thread(ask)).shape[0] == 1


async def test_many_tasks_through_one_client(address: str) -> None:
    rows = np.random.default_rng(3).random((100, 1, 4)) * 6
    async with AsyncClient(address, deadline=30) as client:
        together = await asyncio.gather(*(client.predict(row) for row in rows))
        one_by_one = [await client.predict(row) for row in rows[:10]]
    for gathered, single in zip(together[:10], one_by_one, strict=True):
        np.testing.assert_allclose(gathered.array.astype(float), single.array.astype(float), rtol=1e-5)


@pytest.mark.parametrize(
    ("value", "kind"),
    [([[1.0, 2.0, 3.0]], ModelInputError), ([["a", "b", "c", "d"]], PenstockError)],
)
async def test_a_refusal_is_the_same_over_both_protocols(service: Any, value: Any, kind: type[PenstockError]) -> None:
    said = []
    for address in (service.grpc_address, service.http_address):
        async with AsyncClient(address) as client:
            with pytest.raises(kind) as caught:
                await client.predict(value)
        said.append((type(caught.value), caught.value.code, caught.value.message))
    assert said[0] == said[1]


async def test_a_payload_the_service_cannot_read(service: Any) -> None:
    async with AsyncClient(service.http_address + "/api/v1.0/predictions") as client:
        with pytest.raises(PayloadError):
            await client.predict("not for this model")


async def test_metadata_and_readiness(service: Any) -> None:
    told = []
    for address in (service.grpc_address, service.http_address):
        async with AsyncClient(address) as client:
            assert await client.ready()
            told.append(await client.metadata())
    assert told[0].name == told[1].name == "iris"
    assert told[0].inputs == told[1].inputs
    assert told[0].outputs == told[1].outputs
    assert told[0].inputs[0].shape[-1] == 4


async def test_feedback(address: str) -> None:
    async with AsyncClient(address) as client:
        answer = await client.predict(np.array(ROW))
        await client.feedback(request=np.array(ROW), response=answer, reward=1.0, truth=[[1]])


async def test_the_paths_a_service_can_have(service: Any) -> None:
    for path in ("/model-endpoints/iris", "/seldon/default/iris", "/predict", "/api/v0.1/predictions"):
        async with AsyncClient(service.http_address + path) as client:
            assert (await client.predict(np.array(ROW))).model == "iris"
            assert await client.ready()


async def test_a_message_that_is_too_large_for_the_service() -> None:
    from penstock.proto import Limits

    settings = Settings(model=IRIS, grpc_port=0, http_port=0, limits=Limits(message_bytes=2000), drain=1)
    async with running(settings) as server:
        for address in (server.grpc_address, server.http_address):
            async with AsyncClient(address) as client:
                with pytest.raises(LimitError):
                    await client.predict(np.ones((1000, 4)), kind="tensor")


async def test_a_service_that_has_stopped() -> None:
    async with running(Settings(model=IRIS, grpc_port=0, http_port=0, drain=1)) as server:
        clients = [
            AsyncClient(each, retries=Retries(attempts=1)) for each in (server.grpc_address, server.http_address)
        ]
        for client in clients:
            await client.predict(np.array(ROW))
    for client in clients:
        with pytest.raises(Unavailable):
            await client.predict(np.array(ROW))
        assert not await client.ready()
        await client.close()
