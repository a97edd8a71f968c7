"""The listening sockets of a service, bound before anything else is started."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from penstock.proto import SetupError

if TYPE_CHECKING:
    from .settings import Settings

# Who vanishes without a word, behind a NAT or by its power cord, is noticed by the kernel: an idle connection is probed
# after a minute, and given up a minute of silence later; with bytes on the way that nobody confirms, after two, where
# Linux alone would try for a quarter of an hour. Without it a health Watch of such a client stayed for ever: it has
# nothing to say that could fail. Load balancers forget a connection that is idle for some minutes; the probes keep it
# known to them, too. Each platform has some of these options.
_PROBING = {
    "TCP_KEEPIDLE": 60,  # seconds
    "TCP_KEEPALIVE": 60,  # the same, by its name on macOS
    "TCP_KEEPINTVL": 20,  # seconds
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 120_000,  # milliseconds; more than an answer may wait for a peer that does not read
}
_BACKLOG = 2048


class Sockets(NamedTuple):
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
        # As bytes where it can be: a text would go through the rules for names of all languages, 3 ms to import.
        name = host.encode() if host.isascii() else host
        family = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0][0]
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
    _probe(listener)
    listener.settimeout(0.0)
    return listener


def _probe(listener: socket.socket) -> None:
    """Have the kernel notice peers that are gone; accepted connections inherit this, too."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PROBING.items():
        if hasattr(socket, name):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
