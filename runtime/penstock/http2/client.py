"""The client's side of one connection, RFC 9113.

`ClientConnection.ask` queues a request, `feed` takes what was read; exchanges that are over are in ``over``, bytes to
send in ``out``. Nothing is kept of the peer's but answers, and these within a bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from . import frames
from .answer_fields import MALFORMED, TRAILERS, answer_status
from .asking import Asking
from .exchanges import Failed, Failure
from .failures import ConnectionFailed, StreamFailed
from .field_blocks import FieldDecoder, TooLarge
from .frame_reader import FrameReader
from .frames import Code, Setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from .exchanges import Exchange
    from .field_blocks import Fields

_LARGEST_FRAME: Final = 1 << 20
_LIST_BYTES: Final = 1 << 15
_UPDATE_AT: Final = 1 << 29
_MOST_UNSENT: Final = 10_000  # pieces; a peer that reads nothing but wants its pings answered
_TABLE: Final = 4096


class Block(NamedTuple):
    """What a header block means.

    Attributes:
        status: see `answer_status`.
        made: the caller's own.
    """

    status: int
    made: Any


class ClientConnection(Asking, FrameReader):
    """Requests in, frames out; frames in, answers out.

    Args:
        made: what is made of the fields of an answer or its trailers, once for all that are the same.
        answer_bytes: the largest body of an answer; so much the peer may send at once.

    Attributes:
        has_settings: the peer has shown that it speaks HTTP/2.
        text: why the connection has ended.
    """

    def __init__(self, made: Callable[[Fields], Any], answer_bytes: int) -> None:
        Asking.__init__(self)
        FrameReader.__init__(self, _LARGEST_FRAME, b"")
        self.has_settings = False
        self.text = ""
        self._made = made
        self._answer_bytes = answer_bytes
        self._decoder = FieldDecoder(_TABLE, _LIST_BYTES, self._block_of)
        self._block: tuple[int, int, bytearray] | None = None
        self._data: Exchange | None = None
        self._data_pad = 0
        self._data_ends = False
        self._received = 0
        self._handlers = (
            self._on_unknown,
            self._on_headers,
            self._on_priority,
            self._on_rst_stream,
            self._on_settings,
            self._on_push_promise,
            self._on_ping,
            self._on_goaway,
            self._on_window_update,
            self._on_continuation,
            *[self._on_unknown] * 246,
        )
        settings = {
            Setting.ENABLE_PUSH: 0,
            Setting.INITIAL_WINDOW_SIZE: min(answer_bytes + _LARGEST_FRAME, frames.LARGEST_WINDOW),
            Setting.MAX_FRAME_SIZE: _LARGEST_FRAME,
            Setting.MAX_HEADER_LIST_SIZE: _LIST_BYTES,
        }
        more = frames.LARGEST_WINDOW - frames.DEFAULT_WINDOW
        self.out.append(frames.PREFACE + frames.settings(settings) + frames.window_update(0, more))

    @property
    def is_open(self) -> bool:
        """Whether it takes requests."""
        return not (self.ended or self.is_leaving)

    # ------------------------------------------------------------------ DATA

    def _begin_data(self, flags: int, number: int, data: bytes, start: int, size: int) -> int:
        self._check_order(frames.DATA)
        taken = pad = 0
        if flags & frames.PADDED:
            if not size or data[start] >= size:
                raise ConnectionFailed(Code.PROTOCOL_ERROR, "more padding than frame")
            pad, taken = data[start], 1
        self._received += size
        if self._received >= _UPDATE_AT:
            self.out.append(frames.window_update(0, self._received))
            self._received = 0
        exchange = self.exchanges.get(number)
        self._data, self._data_left, self._data_pad = exchange, size - taken, pad
        self._data_ends = bool(flags & frames.END_STREAM)
        if exchange is None:
            self._check_known(number)
        elif exchange.head is None:
            self._data = None
            raise StreamFailed(number, Code.PROTOCOL_ERROR)
        elif not self._data_left:
            self._data_over(exchange)
        return taken

    def _take_data(self, data: bytes, at: int, end: int) -> int:
        stop = min(end, at + self._data_left)
        exchange = self._data
        self._data_left -= stop - at
        if exchange is not None:
            # Padding is at the end of the frame; what is left of the frame tells how much of this is padding.
            body_stop = stop - max(0, self._data_pad - self._data_left)
            if body_stop > at:
                exchange.size += body_stop - at
                exchange.chunks.append(data[at:body_stop])
            if exchange.size > self._answer_bytes:
                self._data = None
                self.out.append(frames.rst_stream(exchange.number, Code.CANCEL))
                self._done(exchange, Failed(Failure.TOO_LARGE))
            elif not self._data_left:
                self._data_over(exchange)
        return stop

    def _data_over(self, exchange: Exchange) -> None:
        """A DATA frame is complete."""
        self._data = None
        if self._data_ends and not exchange.is_over:
            self._done(exchange)

    # ------------------------------------------------------------------ HEADERS

    def _on_headers(self, flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        self._check_order(frames.HEADERS)
        if flags & frames.PADDED:
            if start == stop or data[start] >= stop - start:
                raise ConnectionFailed(Code.PROTOCOL_ERROR, "more padding than frame")
            start, stop = start + 1, stop - data[start]
        if flags & frames.HAS_PRIORITY:
            start += 5
        if start > stop:
            raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "a HEADERS frame that is too short")
        if flags & frames.END_HEADERS:
            self._block_over(flags, number, data[start:stop])
        else:
            self._block = (flags, number, bytearray(data[start:stop]))

    def _on_continuation(self, flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        if self._block is None or self._block[1] != number:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "CONTINUATION of nothing")
        first, _, block = self._block
        if start == stop and not flags & frames.END_HEADERS:
            raise ConnectionFailed(Code.ENHANCE_YOUR_CALM, "an empty CONTINUATION")
        block += data[start:stop]
        if len(block) > _LIST_BYTES:
            raise ConnectionFailed(Code.ENHANCE_YOUR_CALM, "a header block without end")
        if flags & frames.END_HEADERS:
            self._block = None
            self._block_over(first, number, bytes(block))

    def _block_over(self, flags: int, number: int, data: bytes) -> None:
        exchange = self.exchanges.get(number)
        try:
            block: Block = self._decoder.decode(data)
        except TooLarge:
            block = Block(MALFORMED, None)
        if exchange is None:
            self._check_known(number)
            return
        ends = bool(flags & frames.END_STREAM)
        if exchange.head is None:
            if 100 <= block.status < 200 and not ends:
                return
            exchange.head = block.made
        elif not ends or block.status != TRAILERS:
            raise StreamFailed(number, Code.PROTOCOL_ERROR)
        if block.status == MALFORMED or (exchange.head is block.made and block.status < 200):
            raise StreamFailed(number, Code.PROTOCOL_ERROR)
        if ends:
            exchange.trailers = block.made
            self._done(exchange)

    def _block_of(self, fields: Fields) -> Block:
        return Block(answer_status(fields), self._made(fields))

    # ------------------------------------------------------------------ the other frames

    def _on_unknown(self, *_: Any) -> None:
        self._check_order(-1)

    def _on_priority(self, *_: Any) -> None:
        self._check_order(frames.PRIORITY)

    def _on_push_promise(self, *_: Any) -> None:
        raise ConnectionFailed(Code.PROTOCOL_ERROR, "a promise that we have declined")

    def _on_rst_stream(self, _flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        self._check_order(frames.RST_STREAM)
        if stop - start != 4:
            raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "RST_STREAM has four bytes")
        exchange = self.exchanges.get(number)
        if exchange is None:
            self._check_known(number)
            return
        code = int.from_bytes(data[start:stop])
        exchange.unsent = []
        self._done(exchange, Failed(Failure.RESET, _name(code), is_unseen=code == Code.REFUSED_STREAM))

    def _on_settings(self, flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        self._check_order(frames.SETTINGS)
        if number or (stop - start) % 6 or (flags & frames.ACK and start != stop):
            raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "SETTINGS that are none")
        if flags & frames.ACK:
            return
        self.has_settings = True
        for at in range(start, stop, 6):
            self._set(int.from_bytes(data[at : at + 2]), int.from_bytes(data[at + 2 : at + 6]))
        self._reply(frames.SETTINGS_ACK)
        self._send_queued()

    def _set(self, key: int, value: int) -> None:
        if key == Setting.INITIAL_WINDOW_SIZE:
            self._resize(value)
        elif key == Setting.MAX_FRAME_SIZE:
            if not frames.DEFAULT_FRAME <= value <= frames.LARGEST_FRAME:
                raise ConnectionFailed(Code.PROTOCOL_ERROR, f"frames of {value:,} bytes")
            self._peer_frame = value
        elif key == Setting.HEADER_TABLE_SIZE:
            self._encoder.resize(value)
        elif key == Setting.MAX_CONCURRENT_STREAMS:
            self._most = value

    def _on_ping(self, flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        self._check_order(frames.PING)
        if number or stop - start != 8:
            raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "a PING that is none")
        if not flags & frames.ACK:
            self._reply(frames.frame(frames.PING, frames.ACK, 0, data[start:stop]))

    def _on_goaway(self, _flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        self._check_order(frames.GOAWAY)
        if number or stop - start < 8:
            raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "a GOAWAY that is none")
        last = int.from_bytes(data[start : start + 4]) & frames.STREAM_BITS
        said = data[start + 8 : min(stop, start + 200)].decode(errors="replace")
        self.text = f"{_name(int.from_bytes(data[start + 4 : start + 8]))} {said}".strip()
        self._lose_from(last + 1, Failure.CLOSING, self.text)

    def _on_window_update(self, _flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        self._check_order(frames.WINDOW_UPDATE)
        if stop - start != 4:
            raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "WINDOW_UPDATE has four bytes")
        self._check_known(number)
        self._grow(number, int.from_bytes(data[start:stop]) & frames.STREAM_BITS)

    def _check_order(self, kind: int) -> None:
        if not self.has_settings and kind != frames.SETTINGS:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        if self._block is not None:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "a frame between the parts of a header block")

    def _check_known(self, number: int) -> None:
        """Frames for what was given up are on their way for a while; others have no reason."""
        if number >= self._next or (number and not number & 1):
            raise ConnectionFailed(Code.PROTOCOL_ERROR, f"a frame on stream {number}, which was never opened")

    def _reply(self, frame: bytes) -> None:
        if len(self.out) > _MOST_UNSENT:
            raise ConnectionFailed(Code.ENHANCE_YOUR_CALM, "control frames, and nobody who reads what they ask for")
        self.out.append(frame)

    # ------------------------------------------------------------------ the end

    def _stream_failed(self, number: int, code: Code) -> None:
        self.out.append(frames.rst_stream(number, code))
        exchange = self.exchanges.get(number)
        if exchange is not None:
            exchange.unsent = []
            self._done(exchange, Failed(Failure.MALFORMED, code.name))

    def fail(self, code: Code, reason: str) -> None:
        """The peer has broken a rule: end the connection."""
        if not self.ended:
            self.out.append(frames.goaway(0, code, reason))
            self._end(Failure.LOST if self.has_settings else Failure.FOREIGN, f"{code.name}: {reason}")

    def lose(self, text: str) -> None:
        """The connection is gone: all exchanges fail."""
        if not self.ended:
            self._end(Failure.LOST, text)

    def _end(self, reason: Failure, text: str) -> None:
        self.ended = True
        self.text = self.text or text
        self._lose_from(self._next, reason, self.text)
        for exchange in list(self.exchanges.values()):
            # Without SETTINGS there was no peer that could have understood a request.
            self._done(exchange, Failed(reason, self.text, is_unseen=not self.has_settings))


def _name(code: int) -> str:
    return Code(code).name if code <= max(Code) else f"code {code}"
