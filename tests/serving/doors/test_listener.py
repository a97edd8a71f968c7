"""One port for every protocol: how a connection is told what it speaks, and what becomes of one that says nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest

from penstock.deploy.ports import free_port
from penstock.http2.frames import PREFACE
from penstock.proto import prediction_pb2 as pb
from penstock.serving.doors.listener import Listeners, start_listeners
from penstock.serving.lifecycle import running
from penstock.serving.service import Service
from penstock.serving.settings import Settings
from penstock.serving.sockets import bind
from penstock.serving.tls import Tls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

UNITS = Path(__file__).parents[1] / "models" / "units"
SETTINGS = b"\0\0\0\x04\0\0\0\0\0"
PING = b"GET /health/ping HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def listeners() -> AsyncIterator[Listeners]:
    settings = Settings(UNITS, grpc_port=0, http_port=0, grpc_engine="penstock")
    async with asyncio.timeout(60):
        service = await Service.start(settings)
        listeners = await start_listeners(service, settings, bind(settings))
        try:
            yield listeners
        finally:
            await listeners.stop(5)
            await service.stop()


@pytest.mark.parametrize("door", ["http_port", "grpc_port"])
@pytest.mark.parametrize(("said", "answer"), [(PREFACE + SETTINGS, b"\0\0"), (PING, b"HTTP/1.1 200")])
async def test_a_byte_at_a_time_is_enough_to_tell(listeners: Listeners, door: str, said: bytes, answer: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", getattr(listeners, door))
    for at in range(len(said)):
        writer.write(said[at : at + 1])
        await asyncio.sleep(0.001)
    assert (await reader.readexactly(len(answer))).startswith(answer)
    writer.close()


async def test_another_protocol_is_hung_up_on(listeners: Listeners) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", listeners.http_port)
    writer.write(b"DESCRIBE rtsp://x RTSP/1.0\r\n\r\n")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()


@pytest.mark.parametrize("said", [b"", b"PRI"])
async def test_who_says_nothing_is_hung_up_on(listeners: Listeners, said: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", listeners.http_port)
    writer.write(said)
    while not len(listeners.connections):  # noqa: ASYNC110  (the listener is not told of its test)
        await asyncio.sleep(0.01)
    for seconds, is_there in ((10.0, True), (30.0, False)):
        for connection in listeners.connections:
            connection.check(listeners.connections.now + seconds)
        await asyncio.sleep(0.05)
        assert bool(len(listeners.connections)) is is_there
    assert await reader.read() == b""
    writer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="which options are inherited is each system's own")
async def test_the_kernel_looks_whether_a_peer_is_still_there(listeners: Listeners) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", listeners.http_port)
    while not len(listeners.connections):  # noqa: ASYNC110  (the listener is not told of its test)
        await asyncio.sleep(0.01)
    (connection,) = listeners.connections
    accepted = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
    assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
    values = [accepted.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names]
    idle, between, probes, unconfirmed = values
    assert values == [60, 20, 3, 120_000]
    assert idle + between * probes == unconfirmed / 1000, "where both are set, Linux gives up by the second"
    writer.close()


async def test_one_number_is_one_listener_for_both() -> None:
    port = free_port()
    settings = Settings(UNITS, grpc_port=port, http_port=port, grpc_engine="penstock")
    async with running(settings) as server, httpx.AsyncClient() as http:
        assert server.http_address == f"http://{server.grpc_address}"
        assert (await http.get(f"{server.http_address}/health/ping")).text == "pong"
        async with grpc.aio.insecure_channel(server.grpc_address) as channel:
            predict = channel.unary_unary("/seldon.protos.Seldon/Predict", None, None)
            reply = await predict(pb.SeldonMessage(strData="a").SerializeToString())
        assert pb.SeldonMessage.FromString(reply).strData == "a"


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), (["x"], None), ([], None)]
)
async def test_what_alpn_offers(tmp_path: Path, offered: list[str], chosen: str | None) -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    settings = Settings(UNITS, grpc_port=0, http_port=0, grpc_engine="penstock", tls=Tls(certificate, key))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if offered:
        context.set_alpn_protocols(offered)
    async with running(settings) as server:
        port = int(server.http_address.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == chosen
        writer.write(PREFACE + SETTINGS if chosen == "h2" else PING)
        assert (await reader.read(8)).startswith(b"\0\0" if chosen == "h2" else b"HTTP/1.1")
        writer.close()
