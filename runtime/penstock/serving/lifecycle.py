"""A service with its doors, from the load of the model to the last answer.

A stop goes like this: (1) health says NOT_SERVING and what comes new is refused; (2) the doors close, and what is in
flight is answered within the drain time; (3) the model is let go.
"""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from .about import About, Reachable
from .doors.listener import start_listeners
from .memory import keep_freed_memory
from .service import Service
from .sockets import addresses, bind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from .settings import Settings

# Objects made and still there, and how many such collections of the younger generation before one of the next.
_COLLECT_AFTER = (10_000, 10, 10)


class Door(Protocol):
    """A server that listens."""

    async def stop(self, grace: float) -> None:
        """Take nothing new, and give what is in flight ``grace`` seconds."""


class Running(NamedTuple):
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
    """A service that runs as long as the block does, in this process alone; ports of 0 are free ones.

    Raises:
        ModelLoadError: the model cannot be loaded. SetupError: a port is taken, or a certificate cannot be used.
    """
    if settings.tls is not None:
        settings.tls.context()  # a wrong file is told before a large model is loaded
    service = await Service.start(settings)
    doors: list[Door] = []
    try:
        grpc_port, http_port = await _open(service, settings, doors)
        yield Running(service, *addresses(settings, grpc_port, http_port))
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


async def serve_alone(settings: Settings, ready: Callable[[Reachable], None]) -> None:
    """Serve from this process, and say when it can be reached; until cancelled.

    Raises:
        ModelLoadError: the model cannot be loaded. SetupError: a port is taken, or a certificate cannot be used.
    """
    async with running(settings) as server:
        settle()
        model = server.service.model
        ready(Reachable(About(model.name, model.version, model.platform), server.grpc_address, server.http_address))
        await asyncio.Event().wait()


def settle() -> None:
    """Prepare the process for requests, after what stays has been made.

    Large blocks are kept for the next large message. The garbage collector is told that what is here now stays, and to
    look less often at what comes. It need not walk through the one whenever a request has made many objects, which took
    a third of the time of a large JSON body; the other ends with its request almost always, without a cycle, and
    looking for cycles after every 700 objects took a twentieth of the time of small requests.
    """
    keep_freed_memory()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
