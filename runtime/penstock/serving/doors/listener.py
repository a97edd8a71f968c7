"""The listeners of a service: each speaks HTTP/1.1 and HTTP/2, gRPC and REST, with or without TLS.

Which version a connection speaks is seen from its first bytes: HTTP/2 begins with a preface that no request of
HTTP/1.1 begins with (RFC 9113, 3.4). So ALPN only has to offer both.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from penstock.http2.frames import PREFACE

from .connections import Connections
from .health import NAME as HEALTH
from .health import Health
from .http1 import Http1Door
from .inference_grpc import inference_rpc_door
from .reflection import NAME as REFLECTION
from .reflection import reflection_streams
from .rest import rest
from .seldon_grpc import seldon_rpc_door

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence
    from ssl import SSLContext

    from penstock.serving.service import Service
    from penstock.serving.settings import Settings
    from penstock.serving.sockets import Sockets

    from .grpc_streams import StreamHandler
    from .http2 import Http2Door
    from .rest import Rest
    from .rpc import RpcDoor

_BACKLOG: Final = 2048
# For the first bytes, seconds.
_PATIENCE: Final = 20.0


@dataclass(frozen=True, slots=True)
class Listeners:
    """What listens.

    Attributes:
        grpc_port: None where grpcio's server listens on a port of its own.
        http_port: the same as ``grpc_port`` where one listener is both.
    """

    grpc_port: int | None
    http_port: int
    connections: Connections
    _servers: tuple[asyncio.Server, ...]
    _entrance: Callable[[], Entrance]
    _context: SSLContext | None
    _health: Health

    async def adopt(self, connection: socket.socket) -> None:
        """Serve a connection that another process accepted.

        Raises:
            OSError: it is broken, or its TLS handshake failed.
        """
        await asyncio.get_running_loop().connect_accepted_socket(self._entrance, connection, ssl=self._context)

    async def stop(self, grace: float) -> None:
        """Take no new connections, answer what came, within ``grace`` seconds."""
        self._health.stop()
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
    rpc_doors = [seldon_rpc_door(service, settings), inference_rpc_door(service, settings)]
    names = {path.split("/")[1] for door in rpc_doors for path in door.methods}
    health = Health(service, names)
    context = settings.tls.context() if settings.tls is not None else None

    http1 = Http1Door(doors, connections)
    calls = [*rpc_doors, health.door()], health.streams() | reflection_streams({*names, HEALTH, REFLECTION})
    http2 = _http2(service, settings, doors, calls, connections)

    def entrance() -> Entrance:
        return Entrance(connections, http1, http2)

    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(entrance, sock=listener, backlog=_BACKLOG, ssl=context)
        for listener in (sockets.all() if sockets is not None else ())
    ]
    grpc_port, http_port = sockets.ports() if sockets is not None else (settings.grpc_port, settings.http_port)
    return Listeners(grpc_port, http_port, connections, tuple(servers), entrance, context, health)


def _http2(
    service: Service,
    settings: Settings,
    doors: Rest,
    methods: tuple[Sequence[RpcDoor], Mapping[str, StreamHandler]],
    connections: Connections,
) -> Callable[[], asyncio.Protocol]:
    """What makes a connection of HTTP/2, which gRPC's ``methods`` come through as well as REST."""

    @cache
    def door() -> Http2Door:
        # Imported with the first connection, as below: a start should be short.
        from .grpc_calls import GrpcCalls
        from .http2 import Http2Door
        from .http2_rest import RestCalls

        message_bytes = settings.limits.message_bytes
        return Http2Door(GrpcCalls(*methods, service.metrics, message_bytes), RestCalls(doors), message_bytes)

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
        if len(self._data) < len(PREFACE) and PREFACE.startswith(self._data):
            return  # HTTP/2, or not: it cannot be told yet
        words = self._data.partition(b"\r\n")[0].split(b" ", 3)
        if len(words) == 3 and not words[2].startswith(b"HTTP/") and b"\r\n" in self._data:
            # By its request line (RFC 9112, 3) it speaks neither: an answer in either would not be understood.
            self._transport.abort()
            return
        protocol = self._http2() if self._data.startswith(PREFACE) else self._http1()
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
