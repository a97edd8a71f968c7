"""Our own gRPC server: unary calls on `penstock.http2`, without grpcio."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from penstock.http2 import field_blocks, frames
from penstock.http2.connection import Connection
from penstock.http2.limits import Limits
from penstock.proto import DeadlineExceeded, LimitError, PenstockError, RequestError

from .failures import info, told
from .rpc import Call

if TYPE_CHECKING:
    from penstock.http2.field_blocks import Fields
    from penstock.http2.streams import Stream
    from penstock.serving.metrics import Metrics

    from .rpc import RpcHandler

_GRPC: Final = b"application/grpc"
# grpc's status codes, as in its specification.
_CODES: Final = {
    "OK": 0, "CANCELLED": 1, "UNKNOWN": 2, "INVALID_ARGUMENT": 3, "DEADLINE_EXCEEDED": 4, "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6, "PERMISSION_DENIED": 7, "RESOURCE_EXHAUSTED": 8, "FAILED_PRECONDITION": 9, "ABORTED": 10,
    "OUT_OF_RANGE": 11, "UNIMPLEMENTED": 12, "INTERNAL": 13, "UNAVAILABLE": 14, "DATA_LOSS": 15, "UNAUTHENTICATED": 16,
}
_UNITS: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}

# The first answer teaches the peer two fields, which later ones only name (RFC 7541, 6.2.1 and 6.1).
_FIRST_HEAD: Final = field_blocks.status(200) + field_blocks.remembered(b"content-type", _GRPC)
_FIRST_TRAILERS: Final = field_blocks.remembered(b"grpc-status", b"0")
_HEAD: Final = field_blocks.status(200) + b"\xbf"
_TRAILERS: Final = b"\xbe"


class Methods:
    """All methods of all doors, and what is told of each call."""

    def __init__(self, handlers: dict[str, tuple[str, RpcHandler]], metrics: Metrics, body_bytes: int) -> None:
        self.handlers = handlers
        self.metrics = metrics
        self.limits = Limits(body=body_bytes + 5)


class _Head:
    """What the calls with one header block have in common."""

    __slots__ = ("deadline", "door", "handler", "metadata", "method")

    def __init__(self, methods: Methods, fields: Fields) -> None:
        values = dict(fields)
        path = values[b":path"].decode("latin-1")
        self.door, self.handler = methods.handlers.get(path, ("", None))
        self.method = path.rpartition("/")[2]
        self.metadata = tuple(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in fields if name[:1] != b":"
        )
        self.deadline = _seconds(values.get(b"grpc-timeout"))


def _seconds(timeout: bytes | None) -> float | None:
    if not timeout:
        return None
    digits, unit = timeout[:-1], chr(timeout[-1])
    if unit not in _UNITS or not digits.isdigit() or len(digits) > 8:
        return None
    return int(digits) * _UNITS[unit]


class GrpcProtocol(asyncio.Protocol):
    """One connection."""

    def __init__(self, methods: Methods) -> None:
        self._methods = methods
        self._loop = asyncio.get_running_loop()
        self._is_first = True
        self._flushing = False
        self._transport: asyncio.Transport
        self._connection = Connection(self, methods.limits)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._flushing = True
        self._connection.feed(data)
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        self._connection.abandon()

    def head(self, fields: Fields) -> _Head:
        return _Head(self._methods, fields)

    def request(self, stream: Stream) -> None:
        stream.work = self._loop.create_task(self._answer(stream))

    async def _answer(self, stream: Stream) -> None:
        started = perf_counter()
        head: _Head = stream.head
        status = "CANCELLED"
        try:
            if head.handler is None:
                raise RequestError(f"no method {head.method}", code="NOT_FOUND", grpc_status="UNIMPLEMENTED")
            reply = await head.handler(Call(_message(stream.chunks), head.metadata, head.deadline))
            status = "OK"
        except Exception as error:
            failure = told(error)
            status = failure.grpc_status
            self._fail(stream, failure)
        else:
            self._reply(stream, reply)
        finally:
            self._methods.metrics.request(head.door, head.method, status, perf_counter() - started)

    def _reply(self, stream: Stream, message: bytes) -> None:
        body = b"\0" + len(message).to_bytes(4) + message
        if self._is_first:
            self._is_first = False
            self._connection.answer(stream, _FIRST_HEAD, body, _FIRST_TRAILERS)
        else:
            self._connection.answer(stream, _HEAD, body, _TRAILERS)
        self._flush_soon()

    def _fail(self, stream: Stream, error: PenstockError) -> None:
        head = (
            field_blocks.status(200)
            + field_blocks.literal(b"content-type", _GRPC)
            + field_blocks.literal(b"grpc-status", b"%d" % _CODES[error.grpc_status])
            + field_blocks.literal(b"grpc-message", quote(info(error), safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}").encode())
        )
        self._connection.answer(stream, head, b"", None)
        self._flush_soon()

    def refuse(self, stream: Stream, reason: str) -> None:
        self._fail(stream, LimitError(f"the {reason} of the call are larger than allowed"))

    def gone(self, stream: Stream) -> None:
        if stream.work is not None:
            stream.work.cancel()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        connection = self._connection
        out = connection.out
        if out:
            connection.out = []
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))
        if connection.ended:
            self._transport.close()


def _message(chunks: list[bytes]) -> bytes:
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    if len(body) < 5 or int.from_bytes(body[1:5]) != len(body) - 5:
        raise RequestError("the body is not one gRPC message", code="BAD_FRAMING", grpc_status="INTERNAL")
    if body[0]:
        raise RequestError("compressed", code="UNSUPPORTED_ENCODING", grpc_status="UNIMPLEMENTED")
    return body[5:]
