"""A gRPC call as HTTP/2 carries it: what is sent, and what came back.

Source: gRPC's own specification, ``PROTOCOL-HTTP2.md``.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from penstock.http2.exchanges import Request
from penstock.http2.field_blocks import literal

from ._methods import METHODS
from ._rpc_failures import broken, not_one_message, refused, said

if TYPE_CHECKING:
    from penstock.http2.exchanges import Exchange
    from penstock.http2.field_blocks import Fields

    from ._address import Address
    from ._call import Call, Route

PREFIX: Final = 5  # bytes before a message: whether it is compressed, and its length
_FIRST_TRY: Final = 0.99  # of the deadline; with so much left it is told as it is, and so in the same bytes each time
_KNOWN: Final = 256
_MOST_DIGITS: Final = 99_999_999


class Told(NamedTuple):
    """What the fields of an answer, or its trailers, say.

    Attributes:
        http_status: 0 where there is none.
        is_grpc: whether the content type is gRPC's.
        status: ``grpc-status``; None where there is none.
        message: ``grpc-message``.
        retry_after: seconds that the service asks to wait.
    """

    http_status: int
    is_grpc: bool
    status: int | None
    message: str
    retry_after: float


def told(fields: Fields) -> Told:
    """What is to be known of a header block."""
    values = dict(fields)
    status = values.get(b"grpc-status")
    http_status = values.get(b":status", b"")
    return Told(
        int(http_status) if http_status.isdigit() else 0,
        values.get(b"content-type", b"").startswith(b"application/grpc"),
        int(status) if status is not None and status.isdigit() else None,
        unquote_to_bytes(values.get(b"grpc-message", b"")).decode(errors="replace"),
        _pushback(values),
    )


def _pushback(values: dict[bytes, bytes]) -> float:
    """Seconds that the service asks to wait, by gRPC's own trailer or HTTP's."""
    for key, unit in ((b"grpc-retry-pushback-ms", 1e-3), (b"retry-after", 1.0)):
        if key in values:
            try:
                return max(0.0, float(values[key]) * unit)
            except ValueError:
                return 0.0
    return 0.0


class Requests:
    """Makes the requests of one client."""

    def __init__(self, address: Address) -> None:
        scheme = b"https" if address.is_secure else b"http"
        self._common = ((b":method", b"POST"), (b":scheme", scheme), (b":authority", address.target.encode("idna")))
        self._known: dict[tuple[Route, str, float], Fields] = {}

    def make(self, call: Call, token: str) -> Request:
        """The request of one attempt."""
        left, size = call.left, len(call.body)
        if left > call.deadline * _FIRST_TRY:
            fields = self._fields(call.route, token, call.deadline)
            block = b""
        else:
            fields = self._fields(call.route, token, 0.0)
            block = literal(b"grpc-timeout", _timeout(left))
        for name, value in call.headers:
            block += literal(name.encode(), value.encode())
        return Request(fields, block, b"\0" + size.to_bytes(4), call.body)

    def _fields(self, route: Route, token: str, deadline: float) -> Fields:
        key = (route, token, deadline)
        fields = self._known.get(key)
        if fields is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            fields = self._known[key] = self._written(METHODS[route], token, deadline)
        return fields

    def _written(self, method: str, token: str, deadline: float) -> Fields:
        more = [(b"authorization", b"Bearer " + token.encode())] if token else []
        if deadline:
            more.append((b"grpc-timeout", _timeout(deadline)))
        return (
            *self._common,
            (b":path", method.encode()),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            (b"user-agent", b"penstock"),
            *more,
        )


def _timeout(seconds: float) -> bytes:
    """``grpc-timeout``: at most eight digits and a unit. Rounded up, as our own clock is the one that counts."""
    milliseconds = ceil(seconds * 1000)
    return b"%dm" % milliseconds if milliseconds <= _MOST_DIGITS else b"%dS" % ceil(seconds)


def reply(exchange: Exchange, call: Call, address: Address) -> bytes:
    """The message that was answered.

    Raises:
        AttemptFailed: none was.
    """
    if exchange.failed is not None:
        raise broken(exchange.failed, address, call)
    head: Told = exchange.head
    trailers: Told = head if exchange.trailers is None else exchange.trailers
    if trailers.status != 0:
        if trailers.status is None or (head.http_status != 200 and not head.is_grpc):
            raise refused(head.http_status, address, is_grpc=head.is_grpc)
        raise said(trailers.status, trailers.message, trailers.retry_after, address, call)
    chunks = exchange.chunks
    if not chunks or len(chunks[0]) < PREFIX:
        chunks = [exchange.body()]
    first = chunks[0]
    if first[:1] != b"\0" or int.from_bytes(first[1:PREFIX]) != exchange.size - PREFIX:
        raise not_one_message(address)
    if len(chunks) == 1 and isinstance(first, bytes):
        return first[PREFIX:]
    return b"".join((memoryview(first)[PREFIX:], *chunks[1:]))
