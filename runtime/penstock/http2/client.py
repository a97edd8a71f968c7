"""The client's side of one connection, RFC 9113.

`ClientConnection.ask` queues a request, `feed` takes what was read; exchanges that are over are in ``over``, bytes to
send come from `to_send`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from . import frames
from .answer_fields import MALFORMED, TRAILERS, answer_status
from .endpoint import Endpoint
from .exchanges import Exchange, Failed, Failure
from .failures import ConnectionFailed, StreamFailed
from .field_blocks import FieldDecoder, TooLarge
from .frames import Code, Setting
from .limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from .exchanges import Request
    from .field_blocks import Fields
    from .streams import Stream

_STREAMS: Final = 100  # until the peer has said how many; RFC 9113, 6.5.2 wants no peer to allow less
_LARGEST_FRAME: Final = 1 << 20
_LAST_NUMBER: Final = frames.STREAM_BITS - 1
_UNBOUNDED: Final = 1 << 62
_TABLE: Final = 4096
_BROKEN: Final = Failed(Failure.MALFORMED)


class Block(NamedTuple):
    """What a header block means.

    Attributes:
        status: see `answer_status`.
        made: the caller's own.
    """

    status: int
    made: Any


class ClientConnection(Endpoint):
    """Requests in, frames out; frames in, answers out.

    Args:
        made: what is made of the fields of an answer or its trailers, once for all that are the same.
        answer_bytes: the largest body of an answer; so much the peer may send at once.

    Attributes:
        over: exchanges that are over since this was last emptied, by whoever wakes their callers.
        is_leaving: no more requests here: the peer has said so, or the caller has seen enough.
    """

    def __init__(self, made: Callable[[Fields], Any], answer_bytes: int) -> None:
        window = min(answer_bytes + _LARGEST_FRAME, frames.LARGEST_WINDOW)
        # The answers were all asked for, so each is bounded, but not their sum.
        super().__init__(Limits(body=answer_bytes, bodies=_UNBOUNDED, window=window, frame=_LARGEST_FRAME), b"")
        self._budget.left = _UNBOUNDED
        self.over: list[Exchange] = []
        self.is_leaving = False
        self._made = made
        self._decoder = FieldDecoder(_TABLE, self._limits.list, self._block_of)
        self._next = 1
        self._most = _STREAMS
        self._queue: deque[tuple[Exchange, Request]] = deque()
        self._why = _BROKEN
        settings = {
            Setting.ENABLE_PUSH: 0,
            Setting.INITIAL_WINDOW_SIZE: window,
            Setting.MAX_FRAME_SIZE: _LARGEST_FRAME,
            Setting.MAX_HEADER_LIST_SIZE: self._limits.list,
        }
        self.sender.out.append(frames.PREFACE + self._greeting(settings))

    @property
    def is_open(self) -> bool:
        """Whether it takes requests."""
        return not (self.ended or self.is_leaving)

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for anything."""
        return not (self.streams or self._queue)

    # ------------------------------------------------------------------ requests

    def ask(self, request: Request) -> Exchange:
        """Queue a request. It leaves when the peer has room for one more (SETTINGS_MAX_CONCURRENT_STREAMS)."""
        exchange = Exchange()
        if len(self.streams) >= self._most:
            self._queue.append((exchange, request))
        else:
            self._send(exchange, request)
        return exchange

    def give_up(self, exchange: Exchange) -> None:
        """The caller does not want the answer any more; `over` will not tell of it."""
        if exchange.is_over:
            return
        exchange.is_over = True
        exchange.failed = Failed(Failure.GIVEN_UP, is_unseen=not exchange.number)
        if exchange.number:
            self.sender.out.append(frames.rst_stream(exchange.number, Code.CANCEL))
            self._forget(exchange)

    def to_send(self) -> list[bytes | memoryview]:
        """What is to be written now: of bodies about a quarter of a megabyte; ask again until there is nothing."""
        sender = self.sender
        if sender.movable:
            self.pump()
        out, sender.out = sender.out, []
        sender.room = self._limits.turn
        return out

    def _send(self, exchange: Exchange, request: Request) -> None:
        fields, block, lead, body = request
        exchange.number = self._highest = self._next
        exchange.window = self.sender.initial
        exchange.room = self._limits.window
        self._next += 2
        if self._next > _LAST_NUMBER:
            self.is_leaving = True
        self.streams[exchange.number] = exchange
        head = self.encoder.encode(fields)
        self.sender.send(exchange, head + block if block else head, lead, body)

    def _send_queued(self) -> None:
        while self._queue and len(self.streams) < self._most and self.is_open:
            exchange, request = self._queue.popleft()
            if not exchange.is_over:
                self._send(exchange, request)

    def _sent(self, stream: Stream) -> None:
        """What counts is the answer."""

    # ------------------------------------------------------------------ answers

    def _block_over(self, flags: int, number: int, block: bytes) -> None:
        try:
            told: Block = self._decoder.decode(block)
        except TooLarge:
            told = Block(MALFORMED, None)
        exchange = self.streams.get(number)
        if exchange is None:
            if self._was_never_opened(number):
                raise ConnectionFailed(Code.PROTOCOL_ERROR, "an answer that nobody has asked for")
            return  # it was on its way when we gave the stream up
        assert isinstance(exchange, Exchange)  # noqa: S101  (nothing else is put there)
        ends = bool(flags & frames.END_STREAM)
        if exchange.head is None:
            if 100 <= told.status < 200 and not ends:
                return
            if told.status < 200:
                raise StreamFailed(number, Code.PROTOCOL_ERROR)
            exchange.head = told.made
        elif not ends or told.status != TRAILERS:
            raise StreamFailed(number, Code.PROTOCOL_ERROR)
        else:
            exchange.trailers = told.made
        if ends:
            self._complete(exchange)

    def _block_of(self, fields: Fields) -> Block:
        return Block(answer_status(fields), self._made(fields))

    def _complete(self, stream: Stream) -> None:
        if stream.head is None:
            self._stream_failed(stream.number, Code.PROTOCOL_ERROR)
            return
        stream.has_all = True
        self._free(stream.held)
        if stream.unsent is not None:
            # RFC 9113, 8.1: the answer is complete without the rest of the request.
            self.sender.out.append(frames.rst_stream(stream.number, Code.CANCEL))
        chunks = stream.chunks
        self._forget(stream)
        stream.chunks = chunks
        self._done(stream, None)

    def refuse_body(self, stream: Stream) -> None:
        """The answer is too large."""
        self.sender.out.append(frames.rst_stream(stream.number, Code.CANCEL))
        self._forget(stream)
        self._done(stream, Failed(Failure.TOO_LARGE))

    def _gone(self, stream: Stream) -> None:
        failed = self._why
        if stream.reset >= 0:
            failed = Failed(Failure.RESET, _name(stream.reset), is_unseen=stream.reset == Code.REFUSED_STREAM)
        self._done(stream, failed)

    def _done(self, stream: Stream, failed: Failed | None) -> None:
        assert isinstance(stream, Exchange)  # noqa: S101
        if not stream.is_over:
            stream.is_over = True
            stream.failed = failed
            self.over.append(stream)

    def _forget(self, stream: Stream) -> None:
        super()._forget(stream)
        if self._queue:
            self._send_queued()

    # ------------------------------------------------------------------ the peer's wishes, and the end

    def _set(self, key: int, value: int) -> None:
        super()._set(key, value)
        if key == Setting.MAX_CONCURRENT_STREAMS:
            self._most = value
            self._send_queued()

    def _peer_goes(self, last: int, code: int) -> None:
        self.is_leaving = True
        failed = Failed(Failure.CLOSING, _name(code), is_unseen=True)
        for stream in [stream for number, stream in self.streams.items() if number > last]:
            self._forget(stream)
            self._done(stream, failed)
        self._empty_queue(failed)

    def _empty_queue(self, failed: Failed) -> None:
        queue, self._queue = self._queue, deque()
        for exchange, _ in queue:
            self._done(exchange, failed)

    def fail(self, code: Code, reason: str) -> None:
        """The peer has broken a rule: end the connection."""
        if not self.ended:
            # Without SETTINGS there was no peer that could have understood a request.
            kind = Failure.LOST if self._has_settings else Failure.FOREIGN
            self._why = Failed(kind, f"{code.name}: {reason}", is_unseen=not self._has_settings)
            super().fail(code, reason)
            self._empty_queue(self._why)

    def lose(self, text: str) -> None:
        """The connection is gone: all exchanges fail."""
        if not self.ended:
            self._why = Failed(Failure.LOST, text, is_unseen=not self._has_settings)
            self.abandon()
            self._empty_queue(self._why)


def _name(code: int) -> str:
    return Code(code).name if code <= max(Code) else f"code {code}"
