"""The listening sockets of a service, bound before anything else is started."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.proto import SetupError

if TYPE_CHECKING:
    from .settings import Settings

_BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class Sockets:
    """Bound and listening; whoever accepts on them closes them.

    Attributes:
        http: for REST.
        grpc: for gRPC; the very same object as ``http`` where both ports have one number; None where grpcio's server
            binds its own.
    """

    http: socket.socket
    grpc: socket.socket | None

    def all(self) -> list[socket.socket]:
        """Each once."""
        return [self.http] if self.grpc is None or self.grpc is self.http else [self.http, self.grpc]

    def ports(self) -> tuple[int | None, int]:
        """Of gRPC, None where grpcio's server has its own, and of HTTP."""
        return self.grpc.getsockname()[1] if self.grpc is not None else None, self.http.getsockname()[1]

    def close(self) -> None:
        """Close what is still open."""
        for listener in self.all():
            listener.close()


def bind(settings: Settings) -> Sockets:
    """Listen on the ports of ``settings``.

    Raises:
        SetupError: a port cannot be bound.
    """
    with ExitStack() as opened:
        grpc = None
        if settings.grpc_engine == "penstock":
            grpc = opened.enter_context(_listen(settings.host, settings.grpc_port, "gRPC"))
        shared = grpc is not None and settings.grpc_port == settings.http_port != 0
        http = grpc if grpc is not None and shared else _listen(settings.host, settings.http_port, "HTTP")
        opened.pop_all()
        return Sockets(http, grpc)


def addresses(settings: Settings, grpc_port: int, http_port: int) -> tuple[str, str]:
    """Of gRPC and of HTTP, as clients take them."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "http" if settings.tls is None else "https"
    return f"{host}:{grpc_port}", f"{scheme}://{host}:{http_port}"


def _listen(host: str, port: int, what: str) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # "::" is every address of the machine, those of IPv4 included, as grpcio's server takes it.
        both = host == "::" and socket.has_dualstack_ipv6()
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    except OSError as error:
        raise SetupError(
            f"cannot listen for {what} on {host}:{port} ({error.strerror or error}); "
            f"choose another --{what.lower()}-port",
            code="PORT_TAKEN",
        ) from None
    # Accepted connections inherit it: head and body of an answer may be two writes, and the second must not wait
    # 40 ms for the caller's delayed ACK. asyncio alone would not set it, as such a socket does not say it is TCP.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.settimeout(0.0)
    return listener
