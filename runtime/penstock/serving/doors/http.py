"""The HTTP server under the REST doors: uvicorn with httptools, started and stopped from the running loop."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import uvicorn

from penstock.proto import SetupError

from .asgi import Application
from .bounded import BoundedProtocol
from .inference_rest import inference_door
from .pages import pages_door
from .routing import Router
from .seldon_rest import seldon_door

if TYPE_CHECKING:
    from penstock.serving.service import Service
    from penstock.serving.settings import Settings

    from .exchange import Door

_BACKLOG = 2048


class HttpServer:
    """A running HTTP server."""

    def __init__(self, server: uvicorn.Server, loop: asyncio.Task[None]) -> None:
        self._server = server
        self._loop = loop

    async def stop(self, grace: float) -> None:
        """Take no new connections, answer what came, within ``grace`` seconds."""
        self._server.config.timeout_graceful_shutdown = max(1, round(grace))
        self._server.should_exit = True
        await self._loop
        await self._server.shutdown()


def application(service: Service, settings: Settings) -> Application:
    """The REST doors of a service as one ASGI application."""
    inference, seldon = inference_door(service, settings), seldon_door(service, settings)
    router = Router([seldon, inference, pages_door(service, [seldon, inference])])

    def fallback(path: str) -> Door:
        return inference if path.startswith("/v2") else seldon

    return Application(router, fallback, settings.limits, service.metrics)


async def start_http(service: Service, settings: Settings) -> tuple[HttpServer, int]:
    """Listen; return the server and the port it bound (``settings.http_port`` 0 picks one).

    Raises:
        SetupError: the port cannot be bound.
    """
    listener = _listen(settings.host, settings.http_port)
    config = uvicorn.Config(
        application(service, settings),
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    return HttpServer(server, asyncio.create_task(server.main_loop())), listener.getsockname()[1]


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise SetupError(
            f"cannot listen for HTTP on {host}:{port} ({error.strerror or error}); choose another --http-port",
            code="PORT_TAKEN",
        ) from None
    # Head and body of an answer are two writes; without this the second waits 40 ms for the caller's delayed ACK.
    # Accepted connections inherit it; asyncio alone would not set it, as such a socket does not say it is TCP.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
