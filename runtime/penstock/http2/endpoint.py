"""What both sides of a connection do alike with streams: bodies, header blocks, resets (RFC 9113, 5 and 6)."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from . import frames
from .control import TOLL_OF_RESET, Control
from .failures import ConnectionFailed, StreamFailed
from .frames import Code

if TYPE_CHECKING:
    from collections.abc import Callable

    from .frame_reader import Handlers
    from .frames import Setting
    from .limits import Limits
    from .streams import Stream

_WINDOW_OF_ALL: Final = frames.LARGEST_WINDOW  # bodies are bounded by themselves; one window more would only stall
_UPDATE_ALL_AT: Final = 1 << 29
_KEEP_CLOSED: Final = 100
_LONG: Final = 1 << 17  # bytes of a body from which on it is worth a look how long it will be
# Of this many parts of it one has come before all of its memory is taken: whoever only announces a body gets none.
_SHARE: Final = 4
# Bytes in a DATA frame below which it costs more than it brings; and how much more.
_TINY: Final = 64
_TOLL_OF_TINY: Final = 3


class Budget:
    """Bytes that may still be taken, together, by whoever shares it."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


class Endpoint(Control):
    """One side of a connection; `Connection` is the server's.

    Attributes:
        hoards: the peer begins bodies and does not end them: it can wait.
    """

    def __init__(
        self, limits: Limits, preface: bytes, clock: Callable[[], float] = monotonic, budget: Budget | None = None
    ) -> None:
        super().__init__(limits, preface, clock)
        self._reset: dict[int, None] = {}
        self._budget = budget or Budget(limits.bodies)
        self._bodies = 0
        self.hoards = False
        self._unfinished = 0
        self._received = 0
        self._data: Stream | None = None
        self._data_pad = 0
        self._data_ends = False
        self._block: tuple[int, int, bytearray] | None = None
        self._ready = (
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
        self._in_block: Handlers = (*[self._on_intruder] * 9, self._on_continuation, *[self._on_intruder] * 246)
        early = [self._on_too_early] * 256
        early[frames.SETTINGS] = self._on_settings
        self._handlers = tuple(early)

    def _greeting(self, settings: dict[Setting, int]) -> bytes:
        """The first frames: what we take, and a window for the connection that does not bound anything."""
        return frames.settings(settings) + frames.window_update(0, _WINDOW_OF_ALL - frames.DEFAULT_WINDOW)

    # ------------------------------------------------------------------ what the sides do differently

    def _block_over(self, flags: int, number: int, block: bytes) -> None:
        """A header block is complete."""
        raise NotImplementedError

    def _complete(self, stream: Stream) -> None:
        """The peer's message is complete."""
        raise NotImplementedError

    def _whole(self, stream: Stream) -> None:
        """The peer's message is complete, and came in one piece."""
        raise NotImplementedError

    def refuse_body(self, stream: Stream) -> None:
        """A body is above the limit; the rest of it is passed over."""
        raise NotImplementedError

    def _growing(self, stream: Stream) -> int:  # noqa: ARG002
        """Much of a body has come: its size, as far as is known, else 0."""
        return 0

    def _gone(self, stream: Stream) -> None:
        """A stream ended before its time; it is forgotten already."""
        raise NotImplementedError

    def _sent(self, stream: Stream) -> None:
        """Our message is queued whole."""
        raise NotImplementedError

    # ------------------------------------------------------------------ DATA

    def _begin_data(self, flags: int, number: int, data: bytes, start: int, size: int) -> int:
        if self._handlers is not self._ready:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "DATA where it must not be")
        taken = pad = 0
        if flags & frames.PADDED:
            if not size or data[start] >= size:
                raise ConnectionFailed(Code.PROTOCOL_ERROR, "more padding than frame")
            pad, taken = data[start], 1
        if self._was_never_opened(number):
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
        stream.is_simple = False
        self._data, self._data_left, self._data_pad = stream, size - taken, pad
        if not self._data_ends:
            self._charge(stream, size - pad - taken)
        if not self._data_left:
            self._data_over(stream)
        return taken

    def _charge(self, stream: Stream, size: int) -> None:
        """A frame of a body that goes on behind it: what that costs us."""
        if not stream.size:  # a first one may be a message's prefix
            self._count_unfinished(1)
        elif size < _TINY:
            self.toll += _TOLL_OF_TINY
        if not size:
            self._bother()

    def _take_data(self, data: bytes, at: int, end: int) -> int:
        stop = min(end, at + self._data_left)
        stream = self._data
        self._data_left -= stop - at
        if stream is not None:
            # Padding is at the end of the frame; what is left of the frame tells how much of this is padding.
            body_stop = stop - max(0, self._data_pad - self._data_left)
            if body_stop > at:
                self._take_body(stream, data, at, body_stop)
            if not self._data_left and self._data is stream:
                self._data_over(stream)
        return stop

    def _take_whole(self, number: int, data: bytes, start: int, size: int) -> bool:
        stream = self.streams.get(number)
        if (
            stream is None
            or not stream.is_simple
            or size > stream.room
            or size > self._limits.body
            or (stream.expected != size and stream.expected >= 0)
            or self._handlers is not self._ready
        ):
            return False
        self._count_received(size)
        stream.chunks = [data[start : start + size]]
        stream.size = size
        stream.has_all = True
        stream.is_simple = False
        self._whole(stream)
        return True

    def _take_alike(self, number: int, data: bytes, at: int, end: int, size: int) -> int:
        stream = self.streams.get(number)
        if stream is None or stream.has_all or stream.reader is not None or self._handlers is not self._ready:
            return 0
        limits, step = self._limits, frames.HEAD_BYTES + size
        allowed = min(stream.room, limits.body - stream.size, limits.bodies - self._bodies, self._budget.left)
        most = min((end - at) // step, allowed // size)
        head = data[at : at + frames.HEAD_BYTES]
        count = 1
        while count < most and data.startswith(head, at + count * step):
            count += 1
        if count > most:
            return 0
        stream.is_simple = False
        if not stream.size:
            self._count_unfinished(1)
        held = stream.held
        stream.take_alike(data, at + frames.HEAD_BYTES, size, step, count)
        size *= count
        self._free(held - stream.held)
        stream.room -= size
        self._count_received(size)
        self._look_ahead(stream)
        self._grow_room(stream)
        return count

    def _take_body(self, stream: Stream, data: bytes, start: int, stop: int) -> None:
        held = stream.held
        stream.take(data, start, stop)
        self._free(held - stream.held)
        if stream.size > self._limits.body and stream.reader is None:
            self._data = None
            self.refuse_body(stream)
        elif self._bodies > self._limits.bodies or self._budget.left < 0:
            self._data = None
            self._reset_stream(stream.number, Code.REFUSED_STREAM)
        else:
            self._look_ahead(stream)

    def _look_ahead(self, stream: Stream) -> None:
        """Have the rest of a long body in one piece, once its size is known and enough of it has come."""
        if stream.size < _LONG or not stream.total or stream.gathered is not None:
            return
        if stream.total < 0:
            stream.total = 0 if stream.reader is not None else min(self._growing(stream), self._limits.body)
        missing = stream.total - stream.size
        if 0 < missing < min(self._limits.bodies - self._bodies, self._budget.left) and (
            stream.total <= stream.size * _SHARE
        ):
            stream.gather()
            self._free(-missing)

    def _data_over(self, stream: Stream) -> None:
        """A DATA frame is complete."""
        if self._data_ends:
            self._complete(stream)
            return
        self._grow_room(stream)
        if stream.reader is not None:
            stream.reader(stream)

    def _grow_room(self, stream: Stream) -> None:
        """Let the peer send on: the rest of the body at once, where its size is known."""
        window, coming = self._limits.window, stream.total - stream.size
        if stream.room * 2 > window or 0 <= coming < stream.room or stream.number not in self.streams:
            return
        more = min(max(0, coming) + window, frames.LARGEST_WINDOW) - stream.room
        stream.room += more
        self.sender.out.append(frames.window_update(stream.number, more))

    def _count_unfinished(self, change: int) -> None:
        self._unfinished = max(0, self._unfinished + change)
        self.hoards = self._unfinished > self._limits.unfinished

    def _count_received(self, size: int) -> None:
        self._received += size
        if self._received >= _UPDATE_ALL_AT:
            self.sender.out.append(frames.window_update(0, self._received))
            self._received = 0

    def taken(self, stream: Stream) -> None:
        """The body so far was taken out of ``stream.chunks``, and counts no more."""
        if not stream.has_all:
            self._free(stream.held)
        stream.drop()

    def _free(self, size: int) -> None:
        self._bodies -= size
        self._budget.left += size

    # ------------------------------------------------------------------ HEADERS

    def _on_headers(self, flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        if not number & 1:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "HEADERS on a stream that clients do not open")
        if stop - start > frames.DEFAULT_FRAME:
            # The larger frames that we allow are for bodies; h2spec looks for this bound, too.
            raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "a header block without end")
        if flags & (frames.PADDED | frames.HAS_PRIORITY):
            start, stop = _without_extras(flags, number, data, start, stop)
        if flags & frames.END_HEADERS:
            self._block_over(flags, number, data[start:stop])
        else:
            self._block = (flags, number, bytearray(data[start:stop]))
            self._handlers = self._in_block

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
            self._handlers = self._ready
            self._block_over(first, number, bytes(block))

    # ------------------------------------------------------------------ streams that end

    def _on_rst_stream(self, _flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        if not number or self._was_never_opened(number):
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "RST_STREAM on a stream that was never opened")
        if stop - start != 4:
            raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "RST_STREAM has four bytes")
        self._bother()
        stream = self.streams.get(number)
        if stream is not None:
            stream.reset = int.from_bytes(data[start:stop])
            self._forget(stream)
            self._reset.pop(number, None)  # the peer knows: nothing can be on its way
            self._gone(stream)

    def pump(self) -> None:
        """Put into ``sender.out`` what has waited, as far as windows and room go."""
        for stream in self.sender.pump():
            self._sent(stream)

    def _forget(self, stream: Stream) -> None:
        self.streams.pop(stream.number, None)
        if stream.unsent is not None:
            self.sender.drop(stream)
        if self._data is stream:
            self._data = None
        if not stream.has_all:
            self.taken(stream)
            self._remember_reset(stream.number)
        stream.chunks = []

    def _stream_failed(self, number: int, code: Code) -> None:
        self._reset_stream(number, code)

    def _reset_stream(self, number: int, code: Code) -> None:
        self.sender.out.append(frames.rst_stream(number, code))
        self.toll += TOLL_OF_RESET
        self._bother()
        stream = self.streams.get(number)
        if stream is not None:
            self._forget(stream)
            self._gone(stream)
        self._remember_reset(number)

    def _remember_reset(self, number: int) -> None:
        self._reset[number] = None
        if len(self._reset) > _KEEP_CLOSED:
            del self._reset[next(iter(self._reset))]

    def fail(self, code: Code, reason: str) -> None:
        """End the connection: nothing more is read or answered."""
        if not self.ended:
            self.ended = True
            self.sender.out.append(frames.goaway(self._highest, code, reason))
            self.abandon()

    def abandon(self) -> None:
        """Give all streams up: the connection is gone."""
        self.ended = True
        streams, self.streams = self.streams, {}
        self._free(self._bodies)
        self.sender.drop_all()
        for stream in streams.values():
            if not stream.has_all:
                stream.drop()
            self._gone(stream)


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
