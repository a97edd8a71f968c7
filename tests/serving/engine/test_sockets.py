"""Where the listeners listen: one port or two, and which addresses."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock.proto import SetupError
from penstock.serving import Settings
from penstock.serving.lifecycle import running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ECHO = """
class SeldonWrapper:
    def predict(self, X, names):
        return X
"""


async def test_one_port_is_enough_for_both_protocols(wrapper: Callable[..., Path]) -> None:
    """Equal numbers are one listener; the number is of a port that has just been free."""
    async with running(Settings(wrapper(ECHO), grpc_port=0, http_port=0)) as server:
        port = int(server.http_address.rpartition(":")[2])
    async with running(Settings(wrapper(ECHO, "again"), grpc_port=port, http_port=port)) as server:
        assert server.http_address == f"http://{server.grpc_address}"
        async with httpx.AsyncClient() as client, grpc.aio.insecure_channel(server.grpc_address) as channel:
            assert (await client.get(f"{server.http_address}/health/ping")).text == "pong"
            check = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
            assert (await check).status == health_pb2.HealthCheckResponse.SERVING


async def test_two_colons_are_every_address(wrapper: Callable[..., Path]) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    async with (
        running(Settings(wrapper(ECHO), host="::", grpc_port=0, http_port=0)) as server,
        httpx.AsyncClient() as client,
    ):
        assert server.http_address.startswith("http://[::]:")
        port = server.http_address.rpartition(":")[2]
        for address in ("127.0.0.1", "[::1]"):
            assert (await client.get(f"http://{address}:{port}/health/ping")).text == "pong"


def test_grpcios_server_has_a_port_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="shares its port with nobody"):
        Settings(tmp_path, grpc_port=5000, http_port=5000, grpc_engine="grpcio")
    with pytest.raises(SetupError, match="grpc_engine is penstock or grpcio, not go"):
        Settings(tmp_path, grpc_engine="go")
