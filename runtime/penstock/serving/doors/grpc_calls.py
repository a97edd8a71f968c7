"""gRPC calls on HTTP/2, answered by the handlers of the gRPC doors, without grpcio."""

from __future__ import annotations

import asyncio
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Final

from penstock.http2.frames import Code

from .failures import info, told
from .grpc_head import GRPC, UNKNOWN_METHOD, GrpcHead, seconds
from .grpc_inflating import MessageInflating
from .grpc_messages import PREFIX, message_size, only_message, prefix, too_large
from .grpc_status import OK, Refused, Status
from .grpc_streams import StreamCall
from .rpc import Call
from .stepping import Steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penstock.http2.field_blocks import Fields
    from penstock.http2.streams import Stream
    from penstock.serving.metrics import Metrics

    from .grpc_streams import StreamHandler
    from .http2 import Http2
    from .rpc import RpcDoor, RpcHandler

_HEAD: Final = (
    (b":status", b"200"),
    (b"content-type", GRPC),
    (b"grpc-accept-encoding", b"identity, deflate, gzip"),
)
_NO_ANSWER: Final = ((b":status", b"200"), (b"content-type", GRPC))
_NOT_READ: Final = Status("RESOURCE_EXHAUSTED", "too many answers wait to be read on this connection")
_LATE: Final = Status("DEADLINE_EXCEEDED", "Deadline Exceeded")


class GrpcCalls:
    """All methods of all doors.

    Args:
        doors: the protocols.
        streams: the few methods that are not unary.
        metrics: where calls are counted.
        message_bytes: the largest message, either way.
    """

    def __init__(
        self, doors: Iterable[RpcDoor], streams: Mapping[str, StreamHandler], metrics: Metrics, message_bytes: int
    ) -> None:
        self._handlers = {path: (door.name, handler) for door in doors for path, handler in door.methods.items()}
        self._streams = streams
        self._metrics = metrics
        self._most = message_bytes
        self._inflating = MessageInflating(message_bytes)

    def head(self, fields: Fields) -> GrpcHead:
        """What is known of a call before its message has come."""
        return GrpcHead(self, fields, self._handlers, self._streams, self._most + PREFIX)

    # ------------------------------------------------------------------ unary

    def request(self, http2: Http2, stream: Stream) -> None:
        """Answer a call that is complete, now or later."""
        head: GrpcHead = stream.head
        if head.is_broken:
            http2.reset(stream, Code.INTERNAL_ERROR)
        elif head.failure is not None or head.handler is None:
            self._fail(http2, stream, head.failure or UNKNOWN_METHOD)
        else:
            work = Steps(self._answer(http2, stream, head.handler))
            stream.work = None if work.done else work

    async def _answer(self, http2: Http2, stream: Stream, handler: RpcHandler) -> None:
        started = perf_counter()
        head: GrpcHead = stream.head
        status = "CANCELLED"
        try:
            deadline = seconds(stream.varied) if stream.varied is not None else None
            message, is_compressed = only_message(stream, self._most)
            stream.chunks = []
            if is_compressed:
                message = await self._inflating.inflated(message, head.encoding)
            reply = await handler(Call(message, head.metadata, deadline))
            status = self._reply(http2, stream, reply)
        except Refused as refused:
            status = refused.status.name
            self._fail(http2, stream, refused.status)
        except Exception as error:
            status = self._failed(http2, stream, error)
        finally:
            if head.door:
                self._metrics.request(head.door, head.method, status, perf_counter() - started)

    def _failed(self, http2: Http2, stream: Stream, error: Exception) -> str:
        # Not where it was caught: with the error in a variable that frame, and the request in it, would stay until the
        # next collection of garbage, and requests of a megabyte would make six hundred.
        failure = told(error)
        self._fail(http2, stream, Status(failure.grpc_status, info(failure)))
        return failure.grpc_status

    def _reply(self, http2: Http2, stream: Stream, message: bytes) -> str:
        size = len(message)
        if size > self._most:
            raise Refused("RESOURCE_EXHAUSTED", f"SERVER: Sent message larger than max ({size} vs. {self._most})")
        if not http2.answer(stream, _HEAD, b"", prefix(size), message, OK):
            raise Refused(*_NOT_READ)
        return "OK"

    def _fail(self, http2: Http2, stream: Stream, status: Status) -> None:
        http2.answer(stream, _NO_ANSWER, status.block(), b"", b"")

    def growing(self, http2: Http2, stream: Stream) -> int:
        """Part of a large message has come, which says how large it is: refuse it where it is too large."""
        size = message_size(stream)
        if size > self._most:
            http2.refuse_body(stream)
            return 0
        return size + PREFIX

    def too_large(self, http2: Http2, stream: Stream) -> None:
        """Answer a call whose message is larger than allowed, before all of it has come."""
        size = stream.expected - PREFIX
        if stream.size >= PREFIX:
            size = int.from_bytes(stream.body()[1:PREFIX])
        text = too_large(size, self._most) if size > self._most else "the body is larger than its message"
        self._fail(http2, stream, Status("RESOURCE_EXHAUSTED", text))

    def deadline(self, stream: Stream) -> float:
        """Seconds that a call may take."""
        try:
            return inf if stream.varied is None else seconds(stream.varied)
        except Refused:
            return inf  # answered already, or about to be

    def expire(self, http2: Http2, stream: Stream) -> None:
        """Give up a call whose caller does not wait any more, where its handler did not see to that itself."""
        self._fail(http2, stream, _LATE)

    # ------------------------------------------------------------------ the others

    def begin(self, http2: Http2, stream: Stream) -> None:
        """Answer a call whose messages are taken as they come."""
        head: GrpcHead = stream.head
        handler = head.stream_handler
        if head.is_broken or handler is None:
            http2.reset(stream, Code.INTERNAL_ERROR)
            return
        if head.failure is not None:
            self._fail(http2, stream, head.failure)
            return
        call = StreamCall(
            stream,
            lambda message: self._part(http2, stream, message),
            http2.taken,
            lambda stream: http2.reset(stream, Code.ENHANCE_YOUR_CALM),
        )
        stream.reader = call.came
        stream.work = asyncio.create_task(self._converse(http2, stream, handler, call))

    async def _converse(self, http2: Http2, stream: Stream, handler: StreamHandler, call: StreamCall) -> None:
        status = None
        try:
            # A timer for each, which a unary call is spared: `Http2.check` sees to those that do not look themselves.
            async with asyncio.timeout(None if stream.varied is None else seconds(stream.varied)):
                await handler(call)
        except TimeoutError:
            status = _LATE
        except Refused as refused:
            status = refused.status
        except Exception as error:
            failure = told(error)
            status = Status(failure.grpc_status, info(failure))
        http2.finish(stream, _NO_ANSWER, OK if status is None else status.block())

    def _part(self, http2: Http2, stream: Stream, message: bytes) -> None:
        http2.part(stream, _HEAD, prefix(len(message)) + message)
