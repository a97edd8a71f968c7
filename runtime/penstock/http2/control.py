"""The frames that carry no message: SETTINGS, PING, GOAWAY, WINDOW_UPDATE (RFC 9113, 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from . import frames
from .failures import ConnectionFailed, StreamFailed
from .field_encoder import FieldEncoder
from .frame_reader import FrameReader
from .frames import Code, Setting
from .sender import Sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from .frame_reader import Handlers
    from .limits import Limits
    from .streams import Stream


# See `FrameReader.toll`: of a frame that changes nothing, of one that opens a window, of one that opens it by so few
# bytes that sending them costs more, and of a stream that we have to reset; and how many streams are looked at for one.
_TOLL_OF_NUISANCE: Final = 4
_TOLL_OF_WINDOW: Final = 1
_SILLY: Final = 1024
_TOLL_OF_SILLY: Final = 8
TOLL_OF_RESET: Final = 8
_STREAMS_FOR_ONE: Final = 4


class Control(FrameReader):
    """What they change, and how many of them are borne.

    Attributes:
        sender: what goes out.
        streams: the requests that are not done with, by number.
        encoder: of our header blocks.
    """

    def __init__(self, limits: Limits, preface: bytes, clock: Callable[[], float]) -> None:
        super().__init__(limits.frame, preface)
        self.sender = Sender(limits.turn)
        self.streams: dict[int, Stream] = {}
        self.encoder = FieldEncoder()
        self._limits = limits
        self._clock = clock
        self._ready: Handlers = ()  # once SETTINGS have come
        self._has_settings = False
        self._highest = 0  # stream that was opened
        self._patience = float(limits.nuisance)
        self._patience_at = self._leisure_at = clock()
        self._leisure = float(limits.toll)

    def _on_intruder(self, *_: Any) -> None:
        raise ConnectionFailed(Code.PROTOCOL_ERROR, "a frame between the parts of a header block")

    def _on_too_early(self, *_: Any) -> None:
        raise ConnectionFailed(Code.PROTOCOL_ERROR, "the first frame is not SETTINGS")

    def _on_unknown(self, *_: Any) -> None:
        """RFC 9113, 4.1: kinds that are unknown are passed over."""
        self._bother()

    def _on_priority(self, _flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        if not number:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "PRIORITY on stream 0")
        if stop - start != 5:
            raise StreamFailed(number, Code.FRAME_SIZE_ERROR)
        if int.from_bytes(data[start : start + 4]) & frames.STREAM_BITS == number:
            raise StreamFailed(number, Code.PROTOCOL_ERROR)
        self._bother()

    def _on_settings(self, flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        if number:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & frames.ACK:
            if start != stop:
                raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "an ACK has no bytes")
            if not self._has_settings:
                raise ConnectionFailed(Code.PROTOCOL_ERROR, "the first frame is an ACK")
            self._bother()
            return
        if (stop - start) % 6:
            raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "a setting has six bytes")
        if self._has_settings:
            self._bother()
        self._has_settings = True
        self._handlers = self._ready
        for at in range(start, stop, 6):
            self._set(int.from_bytes(data[at : at + 2]), int.from_bytes(data[at + 2 : at + 6]))
        self.sender.out.append(frames.SETTINGS_ACK)

    def _set(self, key: int, value: int) -> None:
        if key == Setting.INITIAL_WINDOW_SIZE:
            self._set_window(value)
        elif key == Setting.MAX_FRAME_SIZE:
            if not frames.DEFAULT_FRAME <= value <= frames.LARGEST_FRAME:
                raise ConnectionFailed(Code.PROTOCOL_ERROR, f"frames of {value:,} bytes")
            self.sender.frame = value
        elif key == Setting.HEADER_TABLE_SIZE:
            self.encoder.resize(value)
        elif key == Setting.ENABLE_PUSH and value > 1:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "ENABLE_PUSH is 0 or 1")

    def _set_window(self, value: int) -> None:
        if value > frames.LARGEST_WINDOW:
            raise ConnectionFailed(Code.FLOW_CONTROL_ERROR, "a window of more than 2^31 - 1")
        change = value - self.sender.initial
        self.sender.initial = value
        self.toll += len(self.streams) // _STREAMS_FOR_ONE
        for stream in self.streams.values():
            stream.window += change
            if stream.unsent is not None:
                self.sender.opened(stream)
            if stream.window > frames.LARGEST_WINDOW:
                raise ConnectionFailed(Code.FLOW_CONTROL_ERROR, "a window of more than 2^31 - 1")

    def _on_push_promise(self, *_: Any) -> None:
        raise ConnectionFailed(Code.PROTOCOL_ERROR, "nobody promises here")

    def _on_ping(self, flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        if number:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "PING on a stream")
        if stop - start != 8:
            raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "a PING has eight bytes")
        self._bother()
        if not flags & frames.ACK:
            self.sender.out.append(frames.frame(frames.PING, frames.ACK, 0, data[start:stop]))

    def _on_goaway(self, _flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        if number:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "GOAWAY on a stream")
        if stop - start < 8:
            raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "GOAWAY has eight bytes and more")
        self._bother()
        last, code = int.from_bytes(data[start : start + 4]), int.from_bytes(data[start + 4 : start + 8])
        self._peer_goes(last & frames.STREAM_BITS, code)

    def _peer_goes(self, last: int, code: int) -> None:
        """The peer takes no streams above ``last`` any more."""

    def _on_window_update(self, _flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        if stop - start != 4:
            raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "WINDOW_UPDATE has four bytes")
        increment = int.from_bytes(data[start:stop]) & frames.STREAM_BITS
        self.toll += _TOLL_OF_WINDOW if increment >= _SILLY else _TOLL_OF_SILLY
        if not number:
            self.sender.grow(increment)
            return
        if self._was_never_opened(number):
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "WINDOW_UPDATE on a stream that was never opened")
        if not increment:
            raise StreamFailed(number, Code.PROTOCOL_ERROR)
        stream = self.streams.get(number)
        if stream is not None:
            stream.window += increment
            if stream.unsent is not None:
                self.sender.opened(stream)
            if stream.window > frames.LARGEST_WINDOW:
                raise StreamFailed(number, Code.FLOW_CONTROL_ERROR)

    def _bother(self) -> None:
        """Frames that cost us and bring nobody further are counted against a budget that refills with time."""
        self.toll += _TOLL_OF_NUISANCE
        self._patience -= 1
        if self._patience < 0:
            now = self._clock()
            refill = (now - self._patience_at) * self._limits.nuisance_rate
            self._patience_at = now
            self._patience = min(self._limits.nuisance, refill) - 1
            if self._patience < 0:
                raise ConnectionFailed(Code.ENHANCE_YOUR_CALM, "too many control frames")

    def _weigh(self) -> None:
        limits, now = self._limits, self._clock()
        refilled = self._leisure + (now - self._leisure_at) * limits.toll_rate
        self._leisure_at = now
        self._leisure = max(min(limits.toll, refilled) - self.toll, -limits.toll)
        self.is_trying = self._leisure < 0

    def _was_never_opened(self, number: int) -> bool:
        return number > self._highest or not number & 1
