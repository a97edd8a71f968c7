"""The client's half that sends: requests, within what the peer takes. RFC 9113, 5.1.2 and 5.2."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from . import frames
from .exchanges import Exchange, Failed, Failure
from .failures import ConnectionFailed, StreamFailed
from .field_encoder import FieldEncoder
from .frames import Code

if TYPE_CHECKING:
    from .exchanges import Request

_STREAMS: Final = 100  # until the peer has said how many; RFC 9113, 6.5.2 wants no peer to allow less
_LAST_NUMBER: Final = frames.STREAM_BITS - 1
_COPIED: Final = 4096  # bytes; a shorter body leaves in one piece with its head


class Asking:
    """Requests in, frames out.

    Attributes:
        out: pieces to send, in order; whoever sends them empties it.
        exchanges: requests that were sent and are not answered, by number.
        over: exchanges that are over since this was last emptied, by whoever wakes their callers.
        is_leaving: the peer takes no more requests here.
    """

    def __init__(self) -> None:
        self.out: list[bytes | memoryview] = []
        self.exchanges: dict[int, Exchange] = {}
        self.over: list[Exchange] = []
        self.is_leaving = False
        self._encoder = FieldEncoder()
        self._next = 1
        self._most = _STREAMS
        self._queue: deque[tuple[Exchange, Request]] = deque()
        self._blocked: dict[int, Exchange] = {}
        self._peer_window = self._peer_initial = frames.DEFAULT_WINDOW
        self._peer_frame = frames.DEFAULT_FRAME

    def ask(self, request: Request) -> Exchange:
        """Queue a request. It leaves when the peer has room for one more (SETTINGS_MAX_CONCURRENT_STREAMS)."""
        exchange = Exchange()
        if len(self.exchanges) >= self._most:
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
            self.out.append(frames.rst_stream(exchange.number, Code.CANCEL))
            self._forget(exchange)

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for anything."""
        return not self.exchanges and not self._queue

    def _send(self, exchange: Exchange, request: Request) -> None:
        fields, block, start, body = request
        exchange.number = number = self._next
        self._next += 2
        if self._next > _LAST_NUMBER:
            self.is_leaving = True
        self.exchanges[number] = exchange
        head = self._head(number, self._encoder.encode(fields) + block)
        size = len(start) + len(body)
        if size <= self._peer_frame and size <= self._peer_initial and size <= self._peer_window:
            self._peer_window -= size
            head += frames.HEAD.pack(size >> 8, size & 0xFF, frames.DATA, frames.END_STREAM, number) + start
            exchange.window = self._peer_initial - size
            if size <= _COPIED:
                self.out.append(head + body)
            else:
                self.out += (head, body)
            return
        self.out.append(head)
        exchange.window = self._peer_initial
        # The start is a few bytes: one more frame costs less than a copy of the body.
        exchange.unsent = [memoryview(piece) for piece in (start, body) if piece]
        self._blocked[number] = exchange
        self._send_more(exchange)

    def _head(self, number: int, block: bytes) -> bytes:
        """HEADERS, with CONTINUATION where the block is too large for one frame."""
        most = self._peer_frame
        if len(block) <= most:
            return frames.frame(frames.HEADERS, frames.END_HEADERS, number, block)
        pieces = [block[at : at + most] for at in range(0, len(block), most)]
        kinds = [frames.HEADERS] + [frames.CONTINUATION] * (len(pieces) - 1)
        flags = [0] * (len(pieces) - 1) + [frames.END_HEADERS]
        return b"".join(
            frames.frame(kind, flag, number, piece) for kind, flag, piece in zip(kinds, flags, pieces, strict=True)
        )

    def _send_more(self, exchange: Exchange) -> None:
        unsent = exchange.unsent
        while unsent:
            piece = unsent[0]
            size = min(len(piece), self._peer_frame, exchange.window, self._peer_window)
            if size <= 0:
                return
            exchange.window -= size
            self._peer_window -= size
            if size < len(piece):
                unsent[0] = piece[size:]
            else:
                del unsent[0]
            flags = 0 if unsent else frames.END_STREAM
            self.out += (frames.HEAD.pack(size >> 8, size & 0xFF, frames.DATA, flags, exchange.number), piece[:size])
        del self._blocked[exchange.number]

    def _send_blocked(self) -> None:
        for exchange in list(self._blocked.values()):
            self._send_more(exchange)

    def _send_queued(self) -> None:
        while self._queue and len(self.exchanges) < self._most and not self.is_leaving:
            exchange, request = self._queue.popleft()
            if not exchange.is_over:
                self._send(exchange, request)

    # ------------------------------------------------------------------ what the peer takes

    def _resize(self, window: int) -> None:
        """SETTINGS_INITIAL_WINDOW_SIZE, RFC 9113, 6.9.2."""
        change = window - self._peer_initial
        self._peer_initial = window
        for exchange in self.exchanges.values():
            exchange.window += change
            if exchange.window > frames.LARGEST_WINDOW:
                raise ConnectionFailed(Code.FLOW_CONTROL_ERROR, "a window of more than 2^31 - 1")
        self._send_blocked()

    def _grow(self, number: int, increment: int) -> None:
        """WINDOW_UPDATE, RFC 9113, 6.9.1."""
        if not number:
            self._peer_window += increment
            if not increment or self._peer_window > frames.LARGEST_WINDOW:
                raise ConnectionFailed(Code.FLOW_CONTROL_ERROR, f"the window grows by {increment:,}")
            if self._blocked:
                self._send_blocked()
            return
        exchange = self.exchanges.get(number)
        if exchange is None:
            return
        exchange.window += increment
        if not increment or exchange.window > frames.LARGEST_WINDOW:
            raise StreamFailed(number, Code.FLOW_CONTROL_ERROR)
        if number in self._blocked:
            self._send_more(exchange)

    # ------------------------------------------------------------------ the end of an exchange

    def _done(self, exchange: Exchange, failed: Failed | None = None) -> None:
        exchange.failed = failed
        exchange.is_over = True
        self.over.append(exchange)
        if exchange.unsent and failed is None:
            # RFC 9113, 8.1: the answer is complete without the rest of the request.
            self.out.append(frames.rst_stream(exchange.number, Code.CANCEL))
        self._forget(exchange)

    def _forget(self, exchange: Exchange) -> None:
        self.exchanges.pop(exchange.number, None)
        self._blocked.pop(exchange.number, None)
        exchange.unsent = []
        if self._queue:
            self._send_queued()

    def _lose_from(self, number: int, reason: Failure, text: str) -> None:
        """The peer has not acted on any request from ``number`` on, nor will it."""
        self.is_leaving = True
        queue, self._queue = self._queue, deque()
        unseen = [exchange for at, exchange in self.exchanges.items() if at >= number]
        for exchange in unseen + [exchange for exchange, _ in queue if not exchange.is_over]:
            self._done(exchange, Failed(reason, text, is_unseen=True))
