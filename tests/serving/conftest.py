"""Real services for the tests: each in a thread with an event loop of its own, so that any client can call it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from penstock.serving.lifecycle import running
from penstock.serving.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODELS = Path(__file__).parent / "models"


@dataclass(frozen=True)
class Served:
    http: str
    grpc: str
    service: Any


@dataclass(frozen=True)
class Gate:
    """Holds the model of `units` for as long as a test wants: asked with ``text``, it answers once the gate is open."""

    path: Path

    @property
    def text(self) -> str:
        return f"until {self.path}"

    def open(self) -> None:
        self.path.touch()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = Gate(tmp_path / "open")
    yield gate
    gate.open()


@contextmanager
def served(settings: Settings) -> Iterator[Served]:
    ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, Served]] = Future()

    async def main() -> None:
        try:
            async with running(settings) as server:
                stopped = asyncio.Event()
                about = Served(server.http_address, server.grpc_address, server.service)
                ready.set_result((asyncio.get_running_loop(), stopped, about))
                await stopped.wait()
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    loop, stopped, about = ready.result(60)
    try:
        yield about
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(30)


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[..., Served]]:
    """``serve(model, **settings)`` gives a running service, one for the whole session."""
    with ExitStack() as stack:
        running_services: dict[str, Served] = {}

        def start(model: str | Path, **changes: Any) -> Served:
            key = f"{model} {sorted(changes.items())}"
            if key not in running_services:
                path = MODELS / model
                settings = Settings(model=path, **{"grpc_port": 0, "http_port": 0, **changes})
                running_services[key] = stack.enter_context(served(settings))
            return running_services[key]

        yield start
