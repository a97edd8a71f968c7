"""The server's side of one connection, RFC 9113.

`Connection.feed` takes bytes and tells the application of each request that is complete; `Connection.answer` queues
an answer. Bytes to send are in ``out``. A frame is handled where it lies in the bytes that were read; only what is
cut off at their end is kept, and a body is taken as it comes, so a large frame is not copied once for each read.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from . import frames
from .failures import ConnectionFailed, StreamFailed
from .field_blocks import FieldDecoder, TooLarge
from .frames import Code, Setting
from .request_fields import malformed, trailers_malformed
from .streams import Stream, Unsent

if TYPE_CHECKING:
    from collections.abc import Callable

    from .field_blocks import Fields
    from .limits import Limits

_WINDOW_OF_ALL: Final = frames.LARGEST_WINDOW  # bodies are bounded by themselves; one window more would only stall
_UPDATE_ALL_AT: Final = 1 << 29
_KEEP_CLOSED: Final = 100


class Application(Protocol):
    """What stands behind a connection."""

    def head(self, fields: Fields) -> Any:
        """What is kept of a request's fields, made once for all requests that have the same."""

    def request(self, stream: Stream) -> None:
        """A request is complete: answer it, now or later, by `Connection.answer`."""

    def refuse(self, stream: Stream, reason: str) -> None:
        """A request is too large (``body``, ``fields``): answer that."""

    def gone(self, stream: Stream) -> None:
        """The peer does not want the answer any more."""


class Head(NamedTuple):
    """A header block.

    Attributes:
        fields: its fields.
        length: see `malformed`.
        made: the application's own; None where this is no request.
    """

    fields: Fields
    length: int | None
    made: Any


class Connection:
    """Frames in, requests out; answers in, frames out.

    Attributes:
        out: pieces to send, in order; whoever sends them empties it.
        streams: the requests whose answers have not left, by number.
    """

    def __init__(self, application: Application, limits: Limits, clock: Callable[[], float] = monotonic) -> None:
        self.out: list[bytes | memoryview] = []
        self.streams: dict[int, Stream] = {}
        self.peer_table = 4096
        self.ended = False
        self._application = application
        self._limits = limits
        self._clock = clock
        self._rest = b""
        self._decoder = FieldDecoder(4096, limits.list, self._head)
        self._preface_left = frames.PREFACE
        self._has_settings = False
        self._block: tuple[int, int, bytearray] | None = None
        self._data: Stream | None = None
        self._data_left = self._data_pad = 0
        self._data_ends = False
        self._highest = 0
        self._last_accepted: int | None = None
        self._reset: dict[int, None] = {}
        self._bodies = 0
        self._window = frames.DEFAULT_WINDOW
        self._received = 0
        self._peer_window = self._peer_initial = frames.DEFAULT_WINDOW
        self._peer_frame = frames.DEFAULT_FRAME
        self._waiting: dict[int, Stream] = {}
        self._patience = float(limits.nuisance)
        self._patience_at = clock()
        self._handlers = (
            None,
            self._on_headers,
            self._on_priority,
            self._on_rst_stream,
            self._on_settings,
            self._on_push_promise,
            self._on_ping,
            self._on_goaway,
            self._on_window_update,
            self._on_continuation,
        )
        self.out.append(
            frames.settings(
                {
                    Setting.MAX_CONCURRENT_STREAMS: limits.streams,
                    Setting.INITIAL_WINDOW_SIZE: limits.window,
                    Setting.MAX_FRAME_SIZE: limits.frame,
                    Setting.MAX_HEADER_LIST_SIZE: limits.list,
                }
            )
            + frames.window_update(0, _WINDOW_OF_ALL - frames.DEFAULT_WINDOW)
        )

    # ------------------------------------------------------------------ bytes in

    def feed(self, data: bytes) -> None:
        """Take what was read. What the peer has done wrong is answered in ``out``; then `ended` may be True."""
        if self.ended:
            return
        try:
            self._feed(data)
        except ConnectionFailed as failed:
            self.fail(failed.code, failed.reason)

    def _feed(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
            self._rest = b""
        at, end = 0, len(data)
        if self._preface_left:
            at = self._preface(data)
        unpack, handlers = frames.HEAD.unpack_from, self._handlers
        largest = self._limits.frame
        while True:
            if self._data_left:
                at = self._take_data(data, at, end)
            if end - at < frames.HEAD_BYTES:
                break
            high, low, kind, flags, number = unpack(data, at)
            size = high << 8 | low
            if size > largest:
                raise ConnectionFailed(Code.FRAME_SIZE_ERROR, f"a frame of {size:,} bytes; {largest:,} are allowed")
            number &= frames.STREAM_BITS
            start = at + frames.HEAD_BYTES
            try:
                if kind == frames.DATA:
                    if flags & frames.PADDED and size and start >= end:
                        break
                    at = start
                    at += self._begin_data(data, start, size, flags, number)
                    continue
                stop = start + size
                if stop > end:
                    break
                at = stop
                if self._block is not None and kind != frames.CONTINUATION:
                    raise ConnectionFailed(Code.PROTOCOL_ERROR, "a frame between the parts of a header block")
                if not self._has_settings and kind != frames.SETTINGS:
                    raise ConnectionFailed(Code.PROTOCOL_ERROR, "the first frame is not SETTINGS")
                if kind <= frames.CONTINUATION:
                    handlers[kind](flags, number, data, start, stop)
            except StreamFailed as failed:
                self._reset_stream(failed.stream, failed.code)
            if self.ended:
                return
        self._rest = data[at:] if at else data

    def _preface(self, data: bytes) -> int:
        expected = self._preface_left
        size = min(len(data), len(expected))
        if data[:size] != expected[:size]:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "no HTTP/2 preface")
        self._preface_left = expected[size:]
        return size

    # ------------------------------------------------------------------ DATA

    def _begin_data(self, data: bytes, start: int, size: int, flags: int, number: int) -> int:
        """The head of a DATA frame; how many bytes of its payload have been taken (the length of the padding)."""
        if self._block is not None or not self._has_settings:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "DATA where it must not be")
        taken = pad = 0
        if flags & frames.PADDED:
            if not size or data[start] >= size:
                raise ConnectionFailed(Code.PROTOCOL_ERROR, "more padding than frame")
            pad, taken = data[start], 1
        if not number or (number > self._highest or not number & 1):
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "DATA on a stream that was never opened")
        self._count_received(size)
        self._data_ends = bool(flags & frames.END_STREAM)
        stream = self.streams.get(number)
        if stream is None or stream.has_all or stream.room < size:
            self._data, self._data_left, self._data_pad = None, size, 0  # passed over
            if stream is None and number in self._reset:
                return 0  # it was on its way when we gave the stream up
            raise StreamFailed(number, Code.FLOW_CONTROL_ERROR if stream and not stream.has_all else Code.STREAM_CLOSED)
        stream.room -= size
        self._data, self._data_left, self._data_pad = stream, size - taken, pad
        if size - pad - taken == 0 and not self._data_ends:
            self._bother()
        if not self._data_left:
            self._data_over(stream)
        return taken

    def _take_data(self, data: bytes, at: int, end: int) -> int:
        stop = min(end, at + self._data_left)
        stream = self._data
        self._data_left -= stop - at
        if stream is not None:
            # Padding is at the end of the frame; what is left of the frame tells how much of this is padding.
            body_stop = stop - max(0, self._data_pad - self._data_left)
            if body_stop > at:
                self._take_body(stream, data if at == 0 and body_stop == len(data) else data[at:body_stop])
            if not self._data_left and self._data is stream:
                self._data_over(stream)
        return stop

    def _take_body(self, stream: Stream, piece: bytes) -> None:
        size = len(piece)
        stream.size += size
        self._bodies += size
        stream.chunks.append(piece)
        if stream.size > self._limits.body:
            self._data = None
            self._drop_body(stream)
            self._application.refuse(stream, "body")
        elif self._bodies > self._limits.bodies:
            self._data = None
            self._reset_stream(stream.number, Code.REFUSED_STREAM)

    def _data_over(self, stream: Stream) -> None:
        """A DATA frame is complete."""
        if self._data_ends:
            self._complete(stream)
            return
        used = self._limits.window - stream.room
        if used * 2 >= self._limits.window:
            stream.room += used
            self.out.append(frames.window_update(stream.number, used))

    def _count_received(self, size: int) -> None:
        self._received += size
        if self._received >= _UPDATE_ALL_AT:
            self.out.append(frames.window_update(0, self._received))
            self._received = 0

    def _complete(self, stream: Stream) -> None:
        stream.has_all = True
        self._bodies -= stream.size
        if stream.expected >= 0 and stream.expected != stream.size:
            self._reset_stream(stream.number, Code.PROTOCOL_ERROR)
            return
        self._application.request(stream)

    def _drop_body(self, stream: Stream) -> None:
        if not stream.has_all:
            self._bodies -= stream.size
        stream.chunks.clear()
        stream.has_all = True
        stream.size = 0

    # ------------------------------------------------------------------ HEADERS

    def _on_headers(self, flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        if not number & 1:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "HEADERS on a stream that clients do not open")
        if stop - start > self._limits.block:
            raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "a header block without end")
        if flags & (frames.PADDED | frames.HAS_PRIORITY):
            start, stop = _without_extras(flags, number, data, start, stop)
        if flags & frames.END_HEADERS:
            self._block_over(flags, number, data[start:stop])
        else:
            self._block = (flags, number, bytearray(data[start:stop]))

    def _on_continuation(self, flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        if self._block is None or self._block[1] != number:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "CONTINUATION of nothing")
        first, _, block = self._block
        if start == stop:
            self._bother()
        block += data[start:stop]
        if len(block) > self._limits.block:
            raise ConnectionFailed(Code.ENHANCE_YOUR_CALM, "a header block without end")
        if flags & frames.END_HEADERS:
            self._block = None
            self._block_over(first, number, bytes(block))

    def _block_over(self, flags: int, number: int, block: bytes) -> None:
        try:
            head: Head | None = self._decoder.decode(block)
        except TooLarge:
            head = None
        if number <= self._highest:
            self._trailers(flags, number, head)
            return
        self._highest = number
        if self._last_accepted is not None:
            self._reset[number] = None
            return  # after GOAWAY: the peer knows that these are not done
        if len(self.streams) >= self._limits.streams:
            raise StreamFailed(number, Code.REFUSED_STREAM)
        stream = Stream(number, head and head.made, self._peer_initial, self._limits.window)
        self.streams[number] = stream
        if head is None:
            self._application.refuse(stream, "fields")
            return
        if head.length is not None:
            if head.length < 0:
                raise StreamFailed(number, Code.PROTOCOL_ERROR)
            stream.expected = head.length
        if flags & frames.END_STREAM:
            self._complete(stream)

    def _head(self, fields: Fields) -> Head:
        length = malformed(fields)
        return Head(fields, length, None if length is not None and length < 0 else self._application.head(fields))

    def _trailers(self, flags: int, number: int, head: Head | None) -> None:
        stream = self.streams.get(number)
        if stream is None or stream.has_all:
            if stream is None and number in self._reset:
                return
            raise ConnectionFailed(Code.STREAM_CLOSED, "HEADERS on a stream that is closed")
        if not flags & frames.END_STREAM or head is None or trailers_malformed(head.fields):
            raise StreamFailed(number, Code.PROTOCOL_ERROR)
        self._complete(stream)

    # ------------------------------------------------------------------ the other frames

    def _on_priority(self, _flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        if not number:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "PRIORITY on stream 0")
        if stop - start != 5:
            raise StreamFailed(number, Code.FRAME_SIZE_ERROR)
        if int.from_bytes(data[start : start + 4]) & frames.STREAM_BITS == number:
            raise StreamFailed(number, Code.PROTOCOL_ERROR)
        self._bother()

    def _on_rst_stream(self, _flags: int, number: int, _data: bytes, start: int, stop: int) -> None:
        if not number or number > self._highest or not number & 1:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "RST_STREAM on a stream that was never opened")
        if stop - start != 4:
            raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "RST_STREAM has four bytes")
        self._bother()
        stream = self.streams.get(number)
        if stream is not None:
            self._forget(stream)
            self._reset.pop(number, None)  # the peer knows: nothing can be on its way
            self._application.gone(stream)

    def _on_settings(self, flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        if number:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & frames.ACK:
            if start != stop:
                raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "an ACK has no bytes")
            return
        if (stop - start) % 6:
            raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "a setting has six bytes")
        if self._has_settings:
            self._bother()
        self._has_settings = True
        for at in range(start, stop, 6):
            self._set(int.from_bytes(data[at : at + 2]), int.from_bytes(data[at + 2 : at + 6]))
        self.out.append(frames.SETTINGS_ACK)

    def _set(self, key: int, value: int) -> None:
        if key == Setting.INITIAL_WINDOW_SIZE:
            if value > frames.LARGEST_WINDOW:
                raise ConnectionFailed(Code.FLOW_CONTROL_ERROR, "a window of more than 2^31 - 1")
            change = value - self._peer_initial
            self._peer_initial = value
            for stream in list(self.streams.values()):
                stream.window += change
                if stream.window > frames.LARGEST_WINDOW:
                    raise ConnectionFailed(Code.FLOW_CONTROL_ERROR, "a window of more than 2^31 - 1")
            self._send_waiting()
        elif key == Setting.MAX_FRAME_SIZE:
            if not frames.DEFAULT_FRAME <= value <= frames.LARGEST_FRAME:
                raise ConnectionFailed(Code.PROTOCOL_ERROR, f"frames of {value:,} bytes")
            self._peer_frame = value
        elif key == Setting.HEADER_TABLE_SIZE:
            self.peer_table = value
        elif key == Setting.ENABLE_PUSH and value > 1:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "ENABLE_PUSH is 0 or 1")

    def _on_push_promise(self, *_: Any) -> None:
        raise ConnectionFailed(Code.PROTOCOL_ERROR, "clients do not promise")

    def _on_ping(self, flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        if number:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "PING on a stream")
        if stop - start != 8:
            raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "a PING has eight bytes")
        if not flags & frames.ACK:
            self._bother()
            self.out.append(frames.frame(frames.PING, frames.ACK, 0, data[start:stop]))

    def _on_goaway(self, _flags: int, number: int, _data: bytes, start: int, stop: int) -> None:
        if number:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "GOAWAY on a stream")
        if stop - start < 8:
            raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "GOAWAY has eight bytes and more")

    def _on_window_update(self, _flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        if stop - start != 4:
            raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "WINDOW_UPDATE has four bytes")
        increment = int.from_bytes(data[start:stop]) & frames.STREAM_BITS
        if not number:
            self._peer_window += increment
            if not increment or self._peer_window > frames.LARGEST_WINDOW:
                code = Code.FLOW_CONTROL_ERROR if increment else Code.PROTOCOL_ERROR
                raise ConnectionFailed(code, f"the window grows by {increment}")
        else:
            if number > self._highest or not number & 1:
                raise ConnectionFailed(Code.PROTOCOL_ERROR, "WINDOW_UPDATE on a stream that was never opened")
            stream = self.streams.get(number)
            if not increment:
                raise StreamFailed(number, Code.PROTOCOL_ERROR)
            if stream is None:
                return
            stream.window += increment
            if stream.window > frames.LARGEST_WINDOW:
                raise StreamFailed(number, Code.FLOW_CONTROL_ERROR)
        if self._waiting:
            self._send_waiting()

    def _bother(self) -> None:
        """Frames that cost us and bring nobody further are counted against a budget that refills with time."""
        self._patience -= 1
        if self._patience < 0:
            now = self._clock()
            refill = (now - self._patience_at) * self._limits.nuisance_rate
            self._patience_at = now
            self._patience = min(self._limits.nuisance, refill) - 1
            if self._patience < 0:
                raise ConnectionFailed(Code.ENHANCE_YOUR_CALM, "too many control frames")

    # ------------------------------------------------------------------ answers

    def answer(self, stream: Stream, head: bytes, body: bytes, trailers: bytes | None) -> None:
        """Queue an answer.

        Args:
            stream: whose.
            head: header block of the answer.
            body: may be empty.
            trailers: header block behind the body; None where there is none.
        """
        number, size = stream.number, len(body)
        if self.streams.get(number) is not stream:
            return
        pack = frames.HEAD.pack
        first = frames.END_HEADERS | (0 if body or trailers is not None else frames.END_STREAM)
        begin = pack(len(head) >> 8, len(head) & 0xFF, frames.HEADERS, first, number) + head
        last = None
        if trailers is not None:
            last = pack(len(trailers) >> 8, len(trailers) & 0xFF, frames.HEADERS, 5, number) + trailers
        if size <= self._peer_frame and size <= stream.window and size <= self._peer_window:
            self._peer_window -= size
            if size:
                begin += pack(size >> 8, size & 0xFF, frames.DATA, 0 if last else 1, number)
                if size < 4096:
                    self.out.append(begin + body + last if last else begin + body)
                else:
                    self.out += (begin, body, last) if last else (begin, body)
            else:
                self.out.append(begin + last if last else begin)
            self._done(stream)
            return
        self.out.append(begin)
        stream.unsent = Unsent(memoryview(body), last)
        self._waiting[number] = stream
        self._send(stream)

    def _send_waiting(self) -> None:
        for stream in list(self._waiting.values()):
            if self._peer_window <= 0:
                return
            self._send(stream)

    def _send(self, stream: Stream) -> None:
        unsent = stream.unsent
        if unsent is None:
            return
        pack, number, last = frames.HEAD.pack, stream.number, unsent.last
        while (size := min(len(unsent.body), self._peer_frame, stream.window, self._peer_window)) > 0:
            piece, unsent.body = unsent.body[:size], unsent.body[size:]
            stream.window -= size
            self._peer_window -= size
            flags = frames.END_STREAM if not unsent.body and last is None else 0
            self.out += (pack(size >> 8, size & 0xFF, frames.DATA, flags, number), piece)
        if not unsent.body:
            if last is not None:
                self.out.append(last)
            self._done(stream)

    def _done(self, stream: Stream) -> None:
        """The answer is queued whole."""
        if not stream.has_all:
            # RFC 9113, 8.1: the answer is complete without the rest of the request, which need not come.
            self.out.append(frames.rst_stream(stream.number, Code.NO_ERROR))
        self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        self.streams.pop(stream.number, None)
        self._waiting.pop(stream.number, None)
        if self._data is stream:
            self._data = None
        if not stream.has_all:
            self._bodies -= stream.size
            self._remember_reset(stream.number)
        stream.chunks = []

    def _reset_stream(self, number: int, code: Code) -> None:
        self.out.append(frames.rst_stream(number, code))
        self._bother()
        stream = self.streams.get(number)
        if stream is not None:
            self._forget(stream)
            self._application.gone(stream)
        self._remember_reset(number)

    def _remember_reset(self, number: int) -> None:
        self._reset[number] = None
        if len(self._reset) > _KEEP_CLOSED:
            del self._reset[next(iter(self._reset))]

    # ------------------------------------------------------------------ the end

    def go_away(self) -> None:
        """Take no new requests; those that came are answered."""
        if self._last_accepted is None and not self.ended:
            self._last_accepted = self._highest
            self.out.append(frames.goaway(self._highest, Code.NO_ERROR, "the server stops"))

    def fail(self, code: Code, reason: str) -> None:
        """End the connection: nothing more is read or answered."""
        if not self.ended:
            self.ended = True
            self.out.append(frames.goaway(self._highest, code, reason))
            self.abandon()

    def abandon(self) -> None:
        """Give all requests up: the connection is gone."""
        self.ended = True
        streams, self.streams = self.streams, {}
        self._waiting.clear()
        for stream in streams.values():
            self._application.gone(stream)


def _without_extras(flags: int, number: int, data: bytes, start: int, stop: int) -> tuple[int, int]:
    """Where the block lies in a HEADERS frame with padding, priority, or both."""
    if flags & frames.PADDED:
        if start == stop:
            raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "a padded frame without its length")
        start, stop = start + 1, stop - data[start]
    if flags & frames.HAS_PRIORITY:
        if int.from_bytes(data[start : start + 4]) & frames.STREAM_BITS == number:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "a stream that depends on itself")
        start += 5
    if start > stop:
        raise ConnectionFailed(Code.PROTOCOL_ERROR, "more padding than frame")
    return start, stop
