"""A real broker, a service with topics of its own, and clients that are not ours."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from penstock.deploy.mqtt import broker
from penstock.streams.mqtt import Worker, load_client, load_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from penstock.deploy.mqtt import Broker
    from penstock.streams.mqtt import ClientSettings, ServerSettings

WINDOW = [0.5, 0.25, 0.125, 1.0, 2.0, 4.0]  # exact in binary, and so is their sum, whatever order it is made in


def window(first: float = 0.5) -> bytes:
    """The tutorial's request; the model of these tests answers with the sum."""
    values = [first, *WINDOW[1:]]
    return json.dumps({f"norm_{number}": value for number, value in enumerate(values, 1)}).encode()


def total(first: float = 0.5) -> float:
    return first + sum(WINDOW[1:])


@pytest.fixture(scope="session")
def mosquitto() -> None:
    """Real mosquitto, or no test; in CI it must be there."""
    if not shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin"):
        assert "CI" not in os.environ, "CI has to have mosquitto: these tests must not be skipped there"
        pytest.skip("mosquitto is not installed")


@pytest.fixture(scope="session")
def local(mosquitto: None) -> Iterator[Broker]:
    """One broker for all tests of this process; each has topics of its own."""
    with broker() as running:
        yield running


_numbers = count()


@dataclass(frozen=True)
class Case:
    """One service with topics of its own, whose model answers with the sum of the window."""

    name: str
    folder: Path
    model: Path
    port: int

    def server(self, **changes: Any) -> Path:
        """``server.json`` in the tutorial's manner."""
        values = {
            "client_info": {"id": self.name, "roles": "ml_provider"},
            "broker_service": {"broker": "MQTT", "url": "127.0.0.1", "port": self.port, "start_timeout": 20},
            "queue_info": {"in_queue": f"{self.name}/out/+", "out_queue": f"{self.name}/in/+", "roles": "server"},
            "model": {"name": "LSTM", "path": str(self.model)},
        }
        return self._write("server.json", values, changes)

    def client(self, tenant: str = "lstm", **changes: Any) -> Path:
        """``client.json`` in the tutorial's manner."""
        values = {
            "client_info": {"id": f"{self.name}-{tenant}", "roles": "ml_user"},
            "broker_service": {"broker": "MQTT", "url": "127.0.0.1", "port": self.port},
            "queue_info": {"in_queue": self.requests(tenant), "out_queue": self.replies(tenant), "roles": "client"},
        }
        return self._write(f"client-{tenant}.json", values, changes)

    def settings(self, **changes: Any) -> ServerSettings:
        return load_server(self.server(**changes))

    def client_settings(self, tenant: str = "lstm", **changes: Any) -> ClientSettings:
        return load_client(self.client(tenant, **changes))

    def at(self, port: int) -> Case:
        return replace(self, port=port)

    def requests(self, tenant: str) -> str:
        return f"{self.name}/in/{tenant}"

    def replies(self, tenant: str) -> str:
        return f"{self.name}/out/{tenant}"

    def _write(self, name: str, values: dict[str, Any], changes: dict[str, Any]) -> Path:
        for key, change in changes.items():
            is_table = isinstance(change, dict) and isinstance(values.get(key), dict)
            values[key] = values[key] | change if is_table else change
            if is_table:
                values[key] = {name: value for name, value in values[key].items() if value is not None}
        path = self.folder / name
        path.write_text(json.dumps(values))
        return path


@pytest.fixture
def case(request: pytest.FixtureRequest, model: Path, tmp_path: Path) -> Case:
    """See `Case`; where the test has the shared broker, it is there."""
    port = request.getfixturevalue("local").port if "local" in request.fixturenames else 1
    return Case(f"m{next(_numbers)}-{uuid4().hex[:6]}", tmp_path, model, port)


class Serving(Protocol):
    """What `serving` gives."""

    def __call__(self, settings: ServerSettings, name: str = "1") -> AbstractAsyncContextManager[Worker]: ...


@pytest.fixture
def serving() -> Serving:
    """A worker that runs as long as the block does, in the loop of the test."""
    return _serving


@asynccontextmanager
async def _serving(settings: ServerSettings, name: str = "1") -> AsyncIterator[Worker]:
    worker, ready = Worker(settings, name), asyncio.Event()
    task = asyncio.create_task(worker.run(ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=60)
    waiting.cancel()
    if task.done():
        task.result()
    assert ready.is_set(), "the worker is not ready after 60 s"
    try:
        yield worker
    finally:
        worker.stop()
        await task


async def until(condition: Callable[[], bool], within: float = 90.0) -> None:
    ends = time.monotonic() + within
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        await asyncio.sleep(0.02)


class Listener:
    """Somebody with aiomqtt alone, who writes down what comes."""

    def __init__(self, client: aiomqtt.Client, version: int) -> None:
        self._client = client
        self._version = version
        self.heard: list[aiomqtt.Message] = []
        self.named: set[bytes] = set()

    async def listen(self, *topics: str) -> None:
        for topic in topics:
            await self._client.subscribe(topic, 1)

    async def send(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, **properties: Any) -> None:
        told = None
        if self._version == 5:
            told = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's own has no types
            for name, value in properties.items():
                setattr(told, name, value)
        await self._client.publish(topic, payload, qos, retain, told)

    async def until(self, number: int, within: float = 90.0) -> None:
        await until(lambda: len(self.heard) >= number, within)

    @property
    def payloads(self) -> list[Any]:
        return [json.loads(_bytes(message)) for message in self.heard]

    def by_correlation(self) -> dict[bytes, list[Any]]:
        found: dict[bytes, list[Any]] = {}
        for message in self.heard:
            found.setdefault(getattr(message.properties, "CorrelationData", b""), []).append(
                json.loads(_bytes(message))
            )
        return found


def _bytes(message: aiomqtt.Message) -> bytes:
    assert isinstance(message.payload, bytes)
    return message.payload


def correlation(message: aiomqtt.Message) -> bytes:
    return bytes(getattr(message.properties, "CorrelationData", b""))


def user_properties(message: aiomqtt.Message) -> dict[str, str]:
    return dict(getattr(message.properties, "UserProperty", ()))


@asynccontextmanager
async def listener(
    port: int, *, version: int = 5, identifier: str | None = None, **more: Any
) -> AsyncIterator[Listener]:
    """A client of somebody else."""
    protocol = aiomqtt.ProtocolVersion.V5 if version == 5 else aiomqtt.ProtocolVersion.V311
    async with aiomqtt.Client(
        "127.0.0.1", port, protocol=protocol, identifier=identifier, max_inflight_messages=1000, **more
    ) as client:
        client.pending_calls_threshold = 10_000
        found = Listener(client, version)

        async def hear() -> None:
            async for message in client.messages:
                found.heard.append(message)
                found.named.add(correlation(message))

        hearing = asyncio.create_task(hear())
        try:
            yield found
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)


@pytest.fixture
def free_port() -> int:
    from penstock.deploy.ports import free_port

    return free_port()
