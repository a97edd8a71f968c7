"""Bytes in, frames out: RFC 9113, 4.1.

A frame is handled where it lies in the bytes that were read; only what is cut off at their end is kept. The payload of
a DATA frame is handed on as it comes, so that a large one is not kept twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import frames
from .failures import ConnectionFailed, StreamFailed
from .frames import Code

if TYPE_CHECKING:
    from collections.abc import Callable

    # What a handler takes: flags, stream, and where the payload lies (bytes, start, stop).
    Handlers = tuple[Callable[[int, int, bytes, int, int], None], ...]

# How much of one read is worked off before others have their turn: so many DATA frames, or a quarter of other frames,
# or about a hundred small requests. A quarter of a megabyte of tiny frames would hold everybody else up for 40 ms.
_TURN: Final = 512
_TURN_OF_TRYING: Final = 128  # of a peer that can wait
_COST: Final = 3  # more, of other frames; those that bring nobody further have a toll above that
_LARGEST_KEPT: Final = 1 << 15  # of the frames that are taken whole, which is all but DATA
_LARGE: Final = 4096  # bytes of a DATA frame that is likely to be one of many alike


class FrameReader:
    """Cuts what was read into frames, and hands each to its handler.

    Attributes:
        ended: nothing more is read.
        more: frames are left for the next call of `feed`; ``feed(b"")`` will do.
        toll: what the last `feed` has cost above the usual, in DATA frames.
        is_trying: the peer has lately sent a lot that brings nobody further: it can wait.
    """

    def __init__(self, largest: int, preface: bytes) -> None:
        self.ended = False
        self.more = False
        self.toll = 0
        self.is_trying = False
        self._largest = largest
        self._preface_left = preface
        self._handlers: Handlers = ()  # by kind, all 256; the first is not used
        self._rest = b""
        self._at = 0
        self._moved = True
        self._data_left = 0

    def feed(self, data: bytes) -> None:
        """Take what was read. What the peer has done wrong is answered; then `ended` may be True."""
        if self.ended:
            return
        try:
            self._read(data)
        except ConnectionFailed as failed:
            self.fail(failed.code, failed.reason)
        if self.toll or self.is_trying:
            self._weigh()

    def _weigh(self) -> None:
        """Take ``toll`` into account: see `is_trying`."""
        raise NotImplementedError

    def fail(self, code: Code, reason: str) -> None:
        """End the connection."""
        raise NotImplementedError

    def _begin_data(self, flags: int, number: int, data: bytes, start: int, size: int) -> int:
        """The head of a DATA frame: sets ``_data_left``, and tells how many bytes of the payload are taken."""
        raise NotImplementedError

    def _take_data(self, data: bytes, at: int, end: int) -> int:
        """Payload of a DATA frame: counts ``_data_left`` down, and tells where it ends."""
        raise NotImplementedError

    def _take_whole(self, number: int, data: bytes, start: int, size: int) -> bool:  # noqa: ARG002  (of no use here)
        """Take a DATA frame that is a body by itself, without padding; False where it is not so simple."""
        return False

    def _take_alike(self, number: int, data: bytes, at: int, end: int, size: int) -> int:  # noqa: ARG002
        """Take frames from the middle of a body that have one head and lie whole one behind the other.

        Args:
            number: of their stream.
            data: where they lie, from ``at`` on, and more up to ``end``.
            at: the head of the first.
            end: of what was read.
            size: of the payload of each.

        Returns:
            How many; 0 where something is to be looked at.
        """
        return 0

    def _stream_failed(self, number: int, code: Code) -> None:
        raise NotImplementedError

    def _read(self, data: bytes) -> None:  # noqa: C901  (the one loop that all bytes go through)
        data, at = self._joined(data)
        began, end = at, len(data)
        if self._preface_left:
            at = self._preface(data)
        unpack, largest = frames.HEAD.unpack_from, self._largest
        self.more = False
        self.toll = 0
        turn = _TURN_OF_TRYING if self.is_trying else _TURN
        while turn > self.toll:
            turn -= 1
            if self._data_left:
                at = self._take_data(data, at, end)
            start = at + frames.HEAD_BYTES
            if start > end:
                break
            high, low, kind, flags, number = unpack(data, at)
            size = high << 8 | low
            if size > largest:
                raise ConnectionFailed(Code.FRAME_SIZE_ERROR, f"a frame of {size:,} bytes; {largest:,} are allowed")
            number &= frames.STREAM_BITS
            try:
                if kind == frames.DATA:
                    if (
                        flags == frames.END_STREAM
                        and start + size <= end
                        and self._take_whole(number, data, start, size)
                    ):
                        at = start + size
                        if self.ended:
                            return
                        continue
                    if not flags and size >= _LARGE and start + size <= end:
                        count = self._take_alike(number, data, at, end, size)
                        if count:
                            turn -= count - 1
                            at += count * (size + frames.HEAD_BYTES)
                            continue
                    if flags & frames.PADDED and size and start == end:
                        break
                    at = start
                    at += self._begin_data(flags, number, data, start, size)
                elif start + size <= end:
                    at = start + size
                    turn -= _COST
                    self._handlers[kind](flags, number, data, start, at)
                elif size <= _LARGEST_KEPT:
                    break
                else:
                    raise ConnectionFailed(Code.FRAME_SIZE_ERROR, f"{size:,} bytes in a frame that is not DATA")
            except StreamFailed as failed:
                self._stream_failed(failed.stream, failed.code)
            if self.ended:
                return
        else:
            self.more = at < end
        self._moved = self._moved or at > began
        if at < end:
            self._rest, self._at = (data, at) if self.more else (data[at:], 0)

    def _joined(self, data: bytes) -> tuple[bytes, int]:
        """What is left of the last read with this one behind it, and where to go on in it."""
        rest, at = self._rest, self._at
        if not rest:
            return data, 0
        self._rest, self._at = b"", 0
        if not data:
            return rest, at
        return (rest[at:] + data if at else rest + data), 0

    def _preface(self, data: bytes) -> int:
        expected = self._preface_left
        size = min(len(data), len(expected))
        if data[:size] != expected[:size]:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "no HTTP/2 preface")
        self._preface_left = expected[size:]
        return size
