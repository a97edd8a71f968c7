"""A service with its doors, from the load of the model to the last answer.

A stop goes like this: (1) health says NOT_SERVING and what comes new is refused; (2) the doors close, and what is in
flight is answered within the drain time; (3) the model is let go.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .doors.listener import start_listeners
from .service import Service
from .sockets import bind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from .settings import Settings

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Door(Protocol):
    """A server that listens."""

    async def stop(self, grace: float) -> None:
        """Take nothing new, and give what is in flight ``grace`` seconds."""


@dataclass(frozen=True, slots=True)
class Running:
    """A service that can be reached.

    Attributes:
        service: behind the doors.
        grpc_address: ``host:port``, as gRPC clients take it.
        http_address: ``http://host:port``, or ``https://`` with TLS.
    """

    service: Service
    grpc_address: str
    http_address: str


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """A service that runs as long as the block does; ports of 0 are free ones.

    Raises:
        ModelLoadError: the model cannot be loaded. SetupError: a port is taken, or a certificate cannot be used.
    """
    if settings.tls is not None:
        settings.tls.context()  # a wrong file is told before a large model is loaded
    service = await Service.start(settings)
    doors: list[Door] = []
    try:
        grpc_port, http_port = await _open(service, settings, doors)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        scheme = "http" if settings.tls is None else "https"
        yield Running(service, f"{host}:{grpc_port}", f"{scheme}://{host}:{http_port}")
    finally:
        await _stop(service, doors, settings.drain)


async def _open(service: Service, settings: Settings, doors: list[Door]) -> tuple[int, int]:
    """Start listening, put what listens into ``doors``, and tell the ports of gRPC and HTTP."""
    sockets = bind(settings)
    try:
        listeners = await start_listeners(service, settings, sockets)
    except BaseException:
        sockets.close()
        raise
    doors.append(listeners)
    if listeners.grpc_port is not None:
        return listeners.grpc_port, listeners.http_port
    # Imported here: grpcio is a third of the start-up time, and 20 MB.
    from .doors.grpc import start_grpc

    door, port = await start_grpc(service, settings)
    doors.append(door)
    return port, listeners.http_port


async def _stop(service: Service, doors: list[Door], drain: float) -> None:
    service.ready = False
    await asyncio.gather(service.stop(), *(door.stop(drain) for door in doors))


async def run(settings: Settings, ready: Callable[[Running], None]) -> None:
    """Serve until SIGTERM or SIGINT, which may come while the model still loads.

    Raises:
        ModelLoadError: the model cannot be loaded. SetupError: a port is taken, or a certificate cannot be used.
    """
    serving = asyncio.create_task(_serve(settings, ready))

    def stop() -> None:
        # Once: a signal that comes again must not cut off the answers that the first one waits for.
        if not serving.cancelling():
            serving.cancel()

    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        with suppress(NotImplementedError):  # Windows, where Ctrl-C raises KeyboardInterrupt instead
            loop.add_signal_handler(number, stop)
    with suppress(asyncio.CancelledError):
        await serving


async def _serve(settings: Settings, ready: Callable[[Running], None]) -> None:
    async with running(settings) as server:
        # What is here now stays; the collector need not walk through it whenever a request has made many objects,
        # which took a third of the time of a large JSON body.
        gc.freeze()
        ready(server)
        await asyncio.Event().wait()


def run_until_signal(main: Coroutine[None, None, None]) -> None:
    """Run in a new event loop: uvloop's where that is installed."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    try:
        from uvloop import new_event_loop
    except ModuleNotFoundError:
        return None
    return new_event_loop
