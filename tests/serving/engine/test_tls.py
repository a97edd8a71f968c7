"""TLS on the listeners of both engines: who is let in, what is offered, and what a wrong file is told as."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock.proto import SetupError
from penstock.serving import Settings
from penstock.serving.lifecycle import running
from penstock.serving.settings import GRPC_ENGINES
from penstock.serving.tls import Tls

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ECHO = """
class SeldonWrapper:
    def predict(self, X, names):
        return X
"""


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA, tmp_path: Path) -> Tls:
    issued = authority.issue_cert("localhost", "127.0.0.1")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(key)
    return Tls(certificate, key)


@pytest.fixture
def client_ca(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


def settings_of(model: Path, tls: Tls, **changes: Any) -> Settings:
    return Settings(model, grpc_port=0, http_port=0, drain=2.0, tls=tls, **changes)


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def health(address: str, credentials: grpc.ChannelCredentials) -> Any:
    async with grpc.aio.secure_channel(address.replace("127.0.0.1", "localhost"), credentials) as channel:
        return (await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)).status


@pytest.mark.parametrize("engine", GRPC_ENGINES)
async def test_both_protocols_over_tls(
    engine: str, authority: trustme.CA, tls: Tls, wrapper: Callable[..., Path]
) -> None:
    async with running(settings_of(wrapper(ECHO), tls, grpc_engine=engine)) as server:
        assert server.http_address.startswith("https://")
        async with httpx.AsyncClient(verify=trusting(authority)) as client:
            reply = await client.post(f"{server.http_address}/predict", json={"data": {"ndarray": [[1.5]]}})
            assert reply.json()["data"]["ndarray"] == [[1.5]]
            with pytest.raises(httpx.HTTPError):
                await client.get(server.http_address.replace("https", "http"))
        credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
        assert await health(server.grpc_address, credentials) == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize(("offered", "chosen"), [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), ([], None)])
async def test_the_version_is_agreed_on(
    offered: list[str], chosen: str | None, authority: trustme.CA, tls: Tls, wrapper: Callable[..., Path]
) -> None:
    context = trusting(authority)
    if offered:
        context.set_alpn_protocols(offered)
    async with running(settings_of(wrapper(ECHO), tls)) as server:
        for address in (server.http_address, server.grpc_address):
            _, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]), ssl=context)
            assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == chosen
            writer.close()
            await writer.wait_closed()


@pytest.mark.parametrize("engine", GRPC_ENGINES)
async def test_callers_show_a_certificate_where_a_client_ca_is_given(
    engine: str, authority: trustme.CA, tls: Tls, client_ca: Path, wrapper: Callable[..., Path]
) -> None:
    trusted = Tls(tls.certificate, tls.key, client_ca)
    async with running(settings_of(wrapper(ECHO), trusted, grpc_engine=engine)) as server:
        known = trusting(authority)
        authority.issue_cert("caller@example.org").configure_cert(known)
        async with httpx.AsyncClient(verify=known) as client:
            assert (await client.get(f"{server.http_address}/health/ping")).text == "pong"
        async with httpx.AsyncClient(verify=trusting(authority)) as stranger:
            with pytest.raises(httpx.HTTPError):
                await stranger.get(f"{server.http_address}/health/ping")

        shown = authority.issue_cert("caller@example.org")
        root, key, chain = authority.cert_pem.bytes(), shown.private_key_pem.bytes(), shown.cert_chain_pems[0].bytes()
        assert await health(server.grpc_address, grpc.ssl_channel_credentials(root, key, chain)) == 1
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health(server.grpc_address, grpc.ssl_channel_credentials(root))
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("engine", GRPC_ENGINES)
@pytest.mark.parametrize("wrong", ["certificate", "key", "client_ca"])
@pytest.mark.parametrize("text", [None, "no PEM"])
async def test_a_file_that_cannot_be_used_is_named_before_the_model_is_loaded(
    engine: str, wrong: str, text: str | None, tls: Tls, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.pem"
    if text is not None:
        path.write_text(text)
    files = {"certificate": tls.certificate, "key": tls.key, wrong: path}
    settings = settings_of(tmp_path / "there is no model.onnx", Tls(**files), grpc_engine=engine)
    with pytest.raises(SetupError, match=r"^TLS: .*wrong\.pem.* cannot be used") as caught:
        async with running(settings):
            raise AssertionError("it runs")
    assert "\n" not in caught.value.message
