"""Connections for HTTP/2: TCP, with TLS where the address says so, made within a call's deadline."""

from __future__ import annotations

import selectors
import socket
import ssl
from time import monotonic
from typing import TYPE_CHECKING, Final

from ._rpc_failures import late, no_connection, no_http2
from ._tls import ssl_context

if TYPE_CHECKING:
    from ._address import Address
    from ._call import Call
    from ._settings import Tls

PROTOCOL: Final = "h2"  # its name in TLS's ALPN, RFC 9113, 3.2

# A peer that vanished without closing (power, network) would otherwise swallow calls for a quarter of an hour. The
# kernel asks after 20 s of silence and gives up after 5 more; what is sent and not acknowledged gets as long.
_OPTIONS: Final = (
    (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 20),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 5),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 25_000),
)


def rpc_context(address: Address, tls: Tls) -> ssl.SSLContext | None:
    """What TLS to ``address`` wants; None where there is none.

    Raises:
        SetupError: the CA file cannot be used.
    """
    if not address.is_secure:
        return None
    context = ssl_context(tls)
    context.set_alpn_protocols([PROTOCOL])
    return context


def tune(connection: socket.socket) -> None:
    """Set what a connection for calls wants, where the platform has it."""
    for level, name, value in _OPTIONS:
        option = getattr(socket, name, None)
        if option is not None:
            connection.setsockopt(level, option, value)


def connected(address: Address, context: ssl.SSLContext | None, call: Call) -> socket.socket:
    """A connection that does not block.

    Raises:
        AttemptFailed: there is none, or the deadline of ``call`` has passed.
    """
    try:
        plain = _tcp(address, call)
        try:
            tune(plain)
            plain.settimeout(0)
            return plain if context is None else _secured(plain, context, address, call)
        except BaseException:
            plain.close()
            raise
    except TimeoutError:
        raise late(address, call) from None
    except OSError as error:
        raise no_connection(error, address) from None


def check_protocol(connection: ssl.SSLSocket | ssl.SSLObject, address: Address) -> None:
    """Raise `AttemptFailed` where the other side has not agreed to HTTP/2."""
    if connection.selected_alpn_protocol() != PROTOCOL:
        raise no_http2(address)


def _tcp(address: Address, call: Call) -> socket.socket:
    failed: OSError = OSError("it has no address")
    for family, kind, protocol, _, where in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(call.left)
        try:
            connection.connect(where)
        except OSError as error:
            connection.close()
            failed = error
        else:
            return connection
    raise failed


def _secured(plain: socket.socket, context: ssl.SSLContext, address: Address, call: Call) -> ssl.SSLSocket:
    secure = context.wrap_socket(plain, server_hostname=address.host, do_handshake_on_connect=False)
    try:
        _shake_hands(secure, call)
        check_protocol(secure, address)
    except BaseException:
        secure.close()
        raise
    return secure


def _shake_hands(secure: ssl.SSLSocket, call: Call) -> None:
    # Without blocking: a time-out of the socket would start anew with each byte.
    while True:
        try:
            secure.do_handshake()
        except ssl.SSLWantReadError:
            wanted = selectors.EVENT_READ
        except ssl.SSLWantWriteError:
            wanted = selectors.EVENT_WRITE
        else:
            return
        if monotonic() >= call.ends:
            raise TimeoutError
        # Not select(2), which takes no socket above 1,023.
        with selectors.DefaultSelector() as selector:
            selector.register(secure, wanted)
            selector.select(call.left)
