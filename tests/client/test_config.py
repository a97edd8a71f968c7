"""The configuration file, the routes of an address, proxies, and what a service tells about itself."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

import penstock.client
from penstock.client import AsyncClient, Client, ModelMetadata, PasswordGrant, TensorMetadata, load_config
from penstock.client._address import parse_address
from penstock.proto import RequestError, SetupError, Unauthenticated
from penstock.proto import prediction_pb2 as pb

if TYPE_CHECKING:
    from pathlib import Path

FULL = """
service-address = "https://host:8443/model-endpoints/iris"
token-address = "https://host:8443/auth/realms/mxe/protocol/openid-connect/token"
client-id = "app"
user = "ann"
password = "s3cret"
certificate-check = false
log-level = "trace"
deadline = 10
max-message-bytes = 1000
"""


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PENSTOCK_TOKEN", "PENSTOCK_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "client.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_parameter(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, FULL))
    assert config.address == "https://host:8443/model-endpoints/iris"
    assert config.token == PasswordGrant(
        "https://host:8443/auth/realms/mxe/protocol/openid-connect/token", "app", "ann", "s3cret"
    )
    assert not config.tls.verify
    assert config.deadline == 10
    assert config.max_message_bytes == 1000
    assert "s3cret" not in repr(config)


def test_secrets_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_TOKEN", "t0ken")
    monkeypatch.setenv("PENSTOCK_PASSWORD", "pw")
    assert load_config(written(tmp_path, 'service-address = "h:1"')).token == "t0ken"
    grant = load_config(written(tmp_path, 'service-address = "h:1"\ntoken-address = "https://t"\nuser = "ann"')).token
    assert grant == PasswordGrant("https://t", "mxe-rest-client", "ann", "pw")


def test_a_client_from_a_file(tmp_path: Path, rest_echo: Any, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("penstock.client")
    path = written(
        tmp_path,
        f'service-address = "{rest_echo.address}/model-endpoints/x"\ntoken = "t"\nlog-level = "error"\n',
    )
    try:
        with Client.from_config(path) as client:
            assert client.predict("x").value == "x"
        assert logger.level == logging.ERROR
    finally:
        logger.setLevel(logging.NOTSET)
    assert rest_echo.seen.calls[0][0] == "/model-endpoints/x"
    assert rest_echo.seen.calls[0][1]["authorization"] == "Bearer t"
    with Client.from_config(load_config(written(tmp_path, 'service-address="https://h"\ncertificate-check=false'))):
        assert "the certificate of https://h is not checked" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "service-address is missing"),
        ("service-address = 1", "service-address must be str"),
        ('service-address = "h:1"\nservice-adress = "h:2"', "unknown parameter 'service-adress'; there are service-"),
        ('service-address = "h:1"\ndeadline = true', "deadline must be int or float"),
        ('service-address = "h:1"\ncertificate-check = "no"', "certificate-check must be bool"),
        ('service-address = "h:1"\nlog-level = "loud"', "log-level must be one of trace, debug"),
        ('service-address = "h:1"\ntoken-address = "https://t"', "needs user, and password or the variable"),
        ('service-address = "h:1"\ntoken-address = "https://t"\ntoken = "t"', "either token or token-address"),
        ("service-address", "is not TOML"),
    ],
)
def test_a_file_that_makes_no_sense(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SetupError, match=message):
        load_config(written(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot read the client configuration"):
        load_config(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("localhost:5", "grpc://localhost:5"),
        ("localhost", "grpc://localhost:5000"),
        ("grpcs://h", "grpcs://h:443"),
        ("http://h", "http://h:80"),
        ("https://h/a/b/", "https://h:443/a/b"),
        ("[::1]:7", "grpc://[::1]:7"),
    ],
)
def test_addresses(text: str, read: str) -> None:
    assert str(parse_address(text)) == read


@pytest.mark.parametrize(
    ("path", "routes"),
    [
        ("", ["/api/v1.0/predictions", "/api/v1.0/feedback", "/api/v1.0/metadata", "/api/v1.0/health/status"]),
        (
            "/seldon/ns/iris",
            [f"/seldon/ns/iris/api/v1.0/{name}" for name in ("predictions", "feedback", "metadata", "health/status")],
        ),
        (
            "/model-endpoints/iris",
            [
                "/model-endpoints/iris",
                *(f"/model-endpoints/iris/{n}" for n in ("feedback", "metadata", "health/status")),
            ],
        ),
        ("/v0/predictions", ["/v0/predictions", "/v0/feedback", "/v0/metadata", "/v0/health/status"]),
        ("/predict", ["/predict", "/send-feedback", "/metadata", "/health/status"]),
    ],
)
def test_where_a_rest_service_is_asked(rest_echo: Any, path: str, routes: list[str]) -> None:
    rest_echo.seen.always = lambda handler, body: handler.reply(200, b"{}")
    with Client(rest_echo.address + path) as client:
        client.predict("x")
        client.feedback(request="x", response="y", reward=0.5)
        client.metadata()
        assert client.ready()
    assert [called for called, _, _ in rest_echo.seen.calls] == routes


def test_feedback_takes_a_prediction(echo: Any) -> None:
    with Client(echo.address) as client:
        answer = client.predict([[1.0]], puid="p7")
        echo.seen.always = (
            (lambda *_: b"") if echo.address.startswith("grpc") else (lambda handler, _: handler.reply(200, b"{}"))
        )
        client.feedback(request=[[1.0]], response=answer, reward=0.5, truth=[[2.0]])
    assert b"p7" in echo.seen.calls[1][2]


METADATA = ModelMetadata(
    name="iris",
    versions=("v1",),
    platform="onnx",
    inputs=(TensorMetadata(name="X", datatype="FP32", shape=(-1, 4)),),
    outputs=(TensorMetadata(message_type="tensor", schema={"shape": [3.0]}),),
    custom={"author": "ann"},
)


def test_metadata_over_grpc(grpc_echo: Any) -> None:
    message = pb.SeldonModelMetadata(
        name="iris",
        versions=["v1"],
        platform="onnx",
        inputs=[pb.SeldonMessageMetadata(name="X", datatype="FP32", shape=[-1, 4])],
        outputs=[pb.SeldonMessageMetadata(messagetype="tensor")],
        custom={"author": "ann"},
    )
    message.outputs[0].schema.struct_value.update({"shape": [3]})
    grpc_echo.seen.always = lambda *_: message.SerializeToString()
    with Client(grpc_echo.address) as client:
        assert client.metadata() == METADATA
    assert grpc_echo.seen.calls[0][0] == "/seldon.protos.Seldon/ModelMetadata"


async def test_metadata_over_rest(rest_echo: Any) -> None:
    body = (
        b'{"name":"iris","versions":["v1"],"platform":"onnx","custom":{"author":"ann"},'
        b'"inputs":[{"name":"X","datatype":"FP32","shape":[-1,4]}],'
        b'"outputs":[{"messagetype":"tensor","schema":{"shape":[3.0]}}]}'
    )
    rest_echo.seen.always = lambda handler, _: handler.reply(200, body)
    async with AsyncClient(rest_echo.address) as client:
        assert await client.metadata() == METADATA


def test_readiness_over_grpc(grpc_echo: Any) -> None:
    import grpc

    with Client(grpc_echo.address) as client:
        grpc_echo.seen.always = lambda *_: b"\x08\x01"
        assert client.ready()
        grpc_echo.seen.always = lambda *_: b"\x08\x02"
        assert not client.ready()
        grpc_echo.seen.always = lambda _, context: context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        assert client.ready()
        grpc_echo.seen.always = lambda _, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "who?")
        with pytest.raises(Unauthenticated):
            client.ready()
        grpc_echo.seen.always = lambda _, context: context.abort(grpc.StatusCode.PERMISSION_DENIED, "no")
        with pytest.raises(RequestError):
            client.ready()
    assert {path for path, _, _ in grpc_echo.seen.calls} == {"/grpc.health.v1.Health/Check"}


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_nobody_is_not_ready(free_port: int, scheme: str) -> None:
    with Client(f"{scheme}://127.0.0.1:{free_port}") as client:
        assert not client.ready()

    async def ask() -> bool:
        async with AsyncClient(f"{scheme}://127.0.0.1:{free_port}") as client:
            return await client.ready()

    assert not asyncio.run(ask())


def test_no_proxy_comes_between_on_loopback(echo: Any, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")
    with Client(echo.address) as client:
        assert client.predict("x").value == "x"


def test_a_proxy_is_used_for_others(rest_echo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", f"http://me:pw@127.0.0.1:{rest_echo.port}")
    with Client("http://service.example/model-endpoints/x") as client:
        assert client.predict("x").value == "x"
    path, headers, _ = rest_echo.seen.calls[0]
    assert path == "http://service.example:80/model-endpoints/x"
    assert headers["host"] == "service.example"
    assert headers["proxy-authorization"].startswith("Basic ")


def test_the_package_offers_what_it_lists() -> None:
    offered = [name for name in vars(penstock.client) if not name.startswith("_")]
    assert sorted(offered) == penstock.client.__all__ == sorted(penstock.client.__all__)
