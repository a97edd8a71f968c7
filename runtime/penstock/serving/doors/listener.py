"""The listeners of a service: each speaks HTTP/1.1 and HTTP/2, gRPC and REST, with or without TLS.

Which version a connection speaks is seen from its first bytes: HTTP/2 begins with a preface that no request of
HTTP/1.1 begins with (RFC 9113, 3.4). So ALPN only has to offer both.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from .connections import Connections
from .http1 import Http1Door
from .rest import rest

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from ssl import SSLContext

    from penstock.serving.service import Service
    from penstock.serving.settings import Settings
    from penstock.serving.sockets import Sockets

    from .http2 import Http2Door
    from .rest import Rest

_BACKLOG: Final = 2048
# How HTTP/2 begins, as `penstock.http2.frames`, which is imported with the first connection of it.
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# For the first bytes, seconds.
_PATIENCE: Final = 20.0


class Listeners:
    """What listens.

    Attributes:
        grpc_port: None where grpcio's server listens on a port of its own.
        http_port: the same as ``grpc_port`` where one listener is both.
    """

    def __init__(
        self,
        ports: tuple[int | None, int],
        connections: Connections,
        servers: Sequence[asyncio.Server],
        entrance: Callable[[], Entrance],
        context: SSLContext | None,
        stopping: asyncio.Event,
    ) -> None:
        self.grpc_port, self.http_port = ports
        self.connections = connections
        self._servers = servers
        self._entrance = entrance
        self._context = context
        self._stopping = stopping

    async def adopt(self, connection: socket.socket) -> None:
        """Serve a connection that another process accepted.

        Raises:
            OSError: it is broken, or its TLS handshake failed.
        """
        await asyncio.get_running_loop().connect_accepted_socket(self._entrance, connection, ssl=self._context)

    async def stop(self, grace: float) -> None:
        """Take no new connections, answer what came, within ``grace`` seconds."""
        self._stopping.set()
        for server in self._servers:
            server.close()
        await self.connections.stop(grace)


async def start_listeners(service: Service, settings: Settings, sockets: Sockets | None) -> Listeners:
    """Accept connections on ``sockets``, which belong to the listeners from here on; None: only adopt some.

    Raises:
        SetupError: the certificate or its key cannot be used.
    """
    connections = Connections(lambda: service.is_away)
    doors = rest(service, settings)
    stopping = asyncio.Event()
    context = settings.tls.context() if settings.tls is not None else None

    http1 = Http1Door(doors, connections)
    http2 = _http2(service, settings, doors, stopping, connections)

    def entrance() -> Entrance:
        return Entrance(connections, http1, http2)

    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(entrance, sock=listener, backlog=_BACKLOG, ssl=context)
        for listener in (sockets.all() if sockets is not None else ())
    ]
    ports = sockets.ports() if sockets is not None else (settings.grpc_port, settings.http_port)
    return Listeners(ports, connections, servers, entrance, context, stopping)


def _http2(
    service: Service,
    settings: Settings,
    doors: Rest,
    stopping: asyncio.Event,
    connections: Connections,
) -> Callable[[], asyncio.Protocol]:
    """What makes a connection of HTTP/2, which gRPC's calls come through as well as REST."""

    @cache
    def door() -> Http2Door:
        # Imported with the first connection, as below: a start should be short.
        from .grpc_calls import GrpcCalls
        from .grpc_doors import grpc_doors
        from .http2 import Http2Door
        from .http2_rest import RestCalls

        message_bytes = settings.limits.message_bytes
        calls = GrpcCalls(*grpc_doors(service, settings, stopping), service.metrics, message_bytes)
        return Http2Door(calls, RestCalls(doors), message_bytes)

    def connection() -> asyncio.Protocol:
        from .http2 import Http2

        return Http2(door(), connections)

    return connection


class Entrance(asyncio.Protocol):
    """A connection of which is not known yet what it speaks."""

    def __init__(
        self,
        connections: Connections,
        http1: Callable[[], asyncio.Protocol],
        http2: Callable[[], asyncio.Protocol],
    ) -> None:
        self._connections = connections
        self._http1 = http1
        self._http2 = http2
        self._until = connections.now + _PATIENCE
        self._data = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        """Called by the event loop."""
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        """Called by the event loop."""
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop: hand over to who speaks this."""
        self._data += data
        if len(self._data) < len(_PREFACE) and _PREFACE.startswith(self._data):
            return  # HTTP/2, or not: it cannot be told yet
        words = self._data.partition(b"\r\n")[0].split(b" ", 3)
        if len(words) == 3 and not words[2].startswith(b"HTTP/") and b"\r\n" in self._data:
            # By its request line (RFC 9112, 3) it speaks neither: an answer in either would not be understood.
            self._transport.abort()
            return
        protocol = self._http2() if self._data.startswith(_PREFACE) else self._http1()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        self._connections.discard(self)
        protocol.data_received(self._data)

    def check(self, now: float) -> None:
        """Hang up on who says nothing."""
        if now > self._until:
            self._transport.close()

    def drain(self) -> None:
        """Nothing has been asked."""
        self._transport.close()

    def abort(self) -> None:
        """Hang up, now."""
        self._transport.abort()
