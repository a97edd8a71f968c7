"""What the doors do when the service stops: answer what came, take nothing new, wait for nobody who is idle."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock.proto import SetupError
from penstock.proto import prediction_pb2 as pb
from penstock.serving.lifecycle import running
from penstock.serving.settings import GRPC_ENGINES, Settings

if TYPE_CHECKING:
    from penstock.serving.lifecycle import Running

    from ..conftest import Gate

UNITS = Path(__file__).parents[1] / "models" / "units"


@pytest.fixture(params=GRPC_ENGINES)
def settings(request: pytest.FixtureRequest) -> Settings:
    return Settings(model=UNITS, grpc_port=0, http_port=0, drain=60, grpc_engine=request.param)


async def open_when_it_stops(gate: Gate, server: Running) -> None:
    while server.service.ready:  # noqa: ASYNC110  (the service is not told of its test)
        await asyncio.sleep(0.01)
    gate.open()


async def test_what_is_in_flight_is_answered(settings: Settings, gate: Gate) -> None:
    async with httpx.AsyncClient() as http, asyncio.timeout(60):
        async with running(settings) as server:
            channel = grpc.aio.insecure_channel(server.grpc_address)
            predict = channel.unary_unary("/seldon.protos.Seldon/Predict", None, None)
            rest = asyncio.create_task(http.post(f"{server.http_address}/predict", json={"strData": gate.text}))
            rpc = predict(pb.SeldonMessage(strData=gate.text).SerializeToString())
            while server.service.metrics.in_flight < 2:  # noqa: ASYNC110  (the service is not told of its test)
                await asyncio.sleep(0.01)
            opening = asyncio.create_task(open_when_it_stops(gate, server))
        await opening
        assert (await rest).status_code == 200
        assert pb.SeldonMessage.FromString(await rpc).strData == gate.text
        with pytest.raises(httpx.ConnectError):
            await http.get(f"{server.http_address}/health/ping")
        await channel.close(None)


async def test_idle_connections_and_watches_hold_nothing_up(settings: Settings) -> None:
    async with asyncio.timeout(60), httpx.AsyncClient() as http:
        async with running(settings) as server:
            await http.get(f"{server.http_address}/health/ping")
            channel = grpc.aio.insecure_channel(server.grpc_address)
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        await channel.close(None)


async def test_a_taken_port_is_told_and_nothing_is_left_running(settings: Settings) -> None:
    async with running(settings) as server:
        for option in ("grpc", "http"):
            port = int(getattr(server, f"{option}_address").rpartition(":")[2])
            taken: dict[str, Any] = {f"{option}_port": port}
            with pytest.raises(SetupError, match=f"--{option}-port"):
                async with running(replace(settings, **taken)):
                    pass
