"""What goes out: flow control (RFC 9113, 5.2), and turns between the streams that wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import frames
from .failures import ConnectionFailed
from .frames import Code

if TYPE_CHECKING:
    from .streams import Stream

_COPIED: Final = 4096  # a body below is copied behind the head of its frame: cheaper than a piece more to write


class Unsent:
    """The rest of a message.

    Attributes:
        lead: the few bytes that stand before the body.
        body: what of it has not left.
        last: frame behind it, which ends the stream; empty where the body's last frame does, None where more follows.
    """

    __slots__ = ("body", "last", "lead")

    def __init__(self, lead: bytes, body: memoryview, last: bytes | None) -> None:
        self.lead = lead
        self.body = body
        self.last = last

    @property
    def size(self) -> int:
        """Bytes that have not left."""
        return len(self.lead) + len(self.body)


class Sender:
    """Messages in, frames out.

    Attributes:
        out: pieces to send, in order; whoever sends them empties it.
        room: bytes of bodies that may still be put into ``out`` before it is emptied.
        window: bytes that the peer takes on all streams together.
        initial: window of a new stream.
        frame: largest payload that the peer takes.
        waiting: streams with something unsent.
        movable: those of them whose own window lets something through.
        held: bytes that they have unsent.
    """

    __slots__ = ("frame", "held", "initial", "movable", "out", "room", "waiting", "window")

    def __init__(self, room: int) -> None:
        self.out: list[bytes | memoryview] = []
        self.room = room
        self.window = self.initial = frames.DEFAULT_WINDOW
        self.frame = frames.DEFAULT_FRAME
        self.waiting: dict[int, Stream] = {}
        self.movable: dict[int, Stream] = {}
        self.held = 0

    def send(
        self, stream: Stream, head: bytes, lead: bytes, body: bytes | memoryview, trailers: bytes | None = None
    ) -> bool:
        """Queue a whole message.

        Args:
            stream: whose.
            head: its header block.
            lead: the first bytes of the body.
            body: the rest of it; both may be empty.
            trailers: header block behind the body; None where there is none.

        Returns:
            Whether all of it is in ``out``; what is not leaves by `pump`.
        """
        number, size = stream.number, len(lead) + len(body)
        pack = frames.HEAD.pack
        last = b""
        if trailers is not None:
            last = pack(len(trailers) >> 8, len(trailers) & 0xFF, frames.HEADERS, 5, number) + trailers
        first = frames.END_HEADERS if size or last else frames.END_HEADERS | frames.END_STREAM
        if len(head) <= frames.DEFAULT_FRAME:
            begin = pack(len(head) >> 8, len(head) & 0xFF, frames.HEADERS, first, number) + head
        else:
            begin = frames.long_head(number, first, head, frames.DEFAULT_FRAME)
        if not size:
            self.out.append(begin + last)
            return True
        if size <= stream.window and size <= self.window and size <= self.room and size <= self.frame:
            self.window -= size
            self.room -= size
            data = pack(size >> 8, size & 0xFF, frames.DATA, 0 if last else frames.END_STREAM, number)
            if size < _COPIED:
                self.out.append(b"".join((begin, data, lead, body, last)))
            else:
                self.out += (begin + data + lead, body, last)
            return True
        self.out.append(begin)
        return self._wait(stream, Unsent(lead, memoryview(body), last))

    def part(self, stream: Stream, head: bytes, body: bytes) -> None:
        """Queue a part of a message that goes on: its head (where this is the first part) and some bytes."""
        if head:
            size = len(head)
            self.out.append(
                frames.HEAD.pack(size >> 8, size & 0xFF, frames.HEADERS, frames.END_HEADERS, stream.number) + head
            )
        if stream.unsent is not None:
            body = bytes(stream.unsent.body) + body
            self.drop(stream)
        if body:
            self._wait(stream, Unsent(b"", memoryview(body), None))

    def finish(self, stream: Stream, trailers: bytes) -> bool:
        """End a message that went out in parts; whether all of it is in ``out``."""
        size = len(trailers)
        last = frames.HEAD.pack(size >> 8, size & 0xFF, frames.HEADERS, 5, stream.number) + trailers
        if stream.unsent is not None:
            stream.unsent.last = last
            return False
        self.out.append(last)
        return True

    def _wait(self, stream: Stream, unsent: Unsent) -> bool:
        stream.unsent = unsent
        self.waiting[stream.number] = self.movable[stream.number] = stream
        self.held += unsent.size
        return self._turn(stream)

    def opened(self, stream: Stream) -> None:
        """The window of a stream that waits has changed."""
        if stream.window > 0:
            self.movable.setdefault(stream.number, stream)

    def pump(self) -> list[Stream]:
        """Give every stream that can move a frame in turn, while there is room; those that have ended with it."""
        ended: list[Stream] = []
        movable = self.movable
        while movable and self.room > 0 and self.window > 0:
            number = next(iter(movable))
            stream = movable.pop(number)  # it goes behind the others
            if self._turn(stream):
                ended.append(stream)
            elif stream.unsent is not None and stream.window > 0:
                movable[number] = stream
        return ended

    def _turn(self, stream: Stream) -> bool:
        """One frame of a stream; whether its message has ended."""
        unsent = stream.unsent
        if unsent is None:
            return False
        left = unsent.size
        size = min(left, self.frame, stream.window, self.window, self.room)
        if size <= 0:
            if stream.window <= 0:
                self.movable.pop(stream.number, None)
            return False
        stream.window -= size
        self.window -= size
        self.room -= size
        self.held -= size
        is_all = size == left
        flags = frames.END_STREAM if is_all and unsent.last == b"" else 0
        head = frames.HEAD.pack(size >> 8, size & 0xFF, frames.DATA, flags, stream.number)
        if unsent.lead:
            head += unsent.lead[:size]
            size = max(0, size - len(unsent.lead))
            unsent.lead = unsent.lead[len(head) - frames.HEAD_BYTES :]
        self.out += (head, unsent.body[:size])
        unsent.body = unsent.body[size:]
        if not is_all:
            return False
        self.drop(stream)
        if unsent.last:
            self.out.append(unsent.last)
        return unsent.last is not None

    def drop(self, stream: Stream) -> None:
        """Forget what has not left of a stream's message."""
        self.waiting.pop(stream.number, None)
        self.movable.pop(stream.number, None)
        if stream.unsent is not None:
            self.held -= stream.unsent.size
            stream.unsent = None

    def drop_all(self) -> None:
        """Forget what has not left of any message."""
        self.waiting, self.movable, self.held = {}, {}, 0

    def grow(self, increment: int) -> None:
        """The peer takes more on all streams together."""
        self.window += increment
        if not increment:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "a window that grows by 0")
        if self.window > frames.LARGEST_WINDOW:
            raise ConnectionFailed(Code.FLOW_CONTROL_ERROR, "a window of more than 2^31 - 1")
