"""Which models there are: the index of a service, or what a service without one tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from penstock.client import AsyncClient, Client, Retries, ServedModel
from penstock.proto import SetupError, Unavailable
from penstock.proto import open_inference_pb2 as oi
from penstock.proto import prediction_pb2 as pb

if TYPE_CHECKING:
    from .conftest import GrpcServer, RestServer

INDEX = "/inference.GRPCInferenceService/RepositoryIndex"
MODELS = (ServedModel("iris", "1", "READY"), ServedModel("wine", "", "UNAVAILABLE", "loading"))


async def test_the_index_over_grpc(grpc_echo: GrpcServer) -> None:
    models = [oi.RepositoryIndexResponse.ModelIndex(name=m.name, version=m.version, state=m.state, reason=m.reason)
              for m in MODELS]  # fmt: skip
    grpc_echo.seen.always = lambda *_: oi.RepositoryIndexResponse(models=models).SerializeToString()
    with Client(grpc_echo.address) as client:
        assert client.models() == MODELS
    async with AsyncClient(grpc_echo.address) as asynchronous:
        assert await asynchronous.models() == MODELS
    assert {path for path, *_ in grpc_echo.seen.calls} == {INDEX}


@pytest.mark.parametrize(
    ("path", "asked"),
    [("", "/v2/repository/index"), ("/seldon/ns/iris", "/seldon/ns/iris/v2/repository/index")],
)
async def test_the_index_over_rest(rest_echo: RestServer, path: str, asked: str) -> None:
    body = b'[{"name":"iris","version":"1","state":"READY"},{"name":"wine","state":"UNAVAILABLE","reason":"loading"}]'
    rest_echo.seen.always = lambda handler, _: handler.reply(200, body)
    with Client(rest_echo.address + path) as client:
        assert client.models() == MODELS
    async with AsyncClient(rest_echo.address + path) as asynchronous:
        assert await asynchronous.models() == MODELS
    assert {(call, sent) for call, _, sent in rest_echo.seen.calls} == {(asked, b"{}")}


async def test_a_service_without_an_index_tells_its_name_over_grpc(grpc_echo: GrpcServer) -> None:
    def answer(_: bytes, context: grpc.ServicerContext) -> bytes:
        if grpc_echo.seen.calls[-1][0] == INDEX:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        return pb.SeldonModelMetadata(name="classifier", versions=["v3"]).SerializeToString()

    grpc_echo.seen.always = answer
    with Client(grpc_echo.address) as client:
        assert client.models() == (ServedModel("classifier", "v3"),)
    async with AsyncClient(grpc_echo.address) as asynchronous:
        assert await asynchronous.models() == (ServedModel("classifier", "v3"),)


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize(("metadata", "models"), [(b'{"name":"m"}', (ServedModel("m"),)), (b"{}", ())])
def test_a_service_without_an_index_tells_its_name_over_rest(
    rest_echo: RestServer, status: int, metadata: bytes, models: Any
) -> None:
    def answer(handler: Any, _: bytes) -> None:
        is_index = "repository" in rest_echo.seen.calls[-1][0]
        handler.reply(status if is_index else 200, b"<html>" if is_index else metadata)

    rest_echo.seen.always = answer
    with Client(rest_echo.address) as client:
        assert client.models() == models


def test_nobody_there(free_port: int) -> None:
    with Client(f"127.0.0.1:{free_port}", retries=Retries(attempts=1)) as client, pytest.raises(Unavailable):
        client.models()


def test_headers_travel_along(echo: GrpcServer | RestServer) -> None:
    with Client(echo.address, token="t") as client:
        client.predict("x", headers={"Seldon": "iris", "traceparent": "00-1-2-3"})
    _, headers, _ = echo.seen.calls[0]
    sent = {name: headers[name] for name in ("seldon", "traceparent", "authorization")}
    assert sent == {"seldon": "iris", "traceparent": "00-1-2-3", "authorization": "Bearer t"}


@pytest.mark.parametrize(
    "headers", [{"host": "x"}, {"a b": "x"}, {"x": "a\r\nb: c"}, {"x": "é"}, {"x-bin": "1"}, {"Authorization": "y"}]
)
def test_headers_that_cannot_be_sent(echo: GrpcServer | RestServer, headers: dict[str, str]) -> None:
    with Client(echo.address) as client, pytest.raises(SetupError) as caught:
        client.predict("x", headers=headers)
    assert caught.value.code == "BAD_HEADER"
    assert echo.seen.calls == []
