"""One request and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .sender import Unsent

_SMALL = 1024


class Stream:
    """What a connection keeps of a request until it is done with.

    Attributes:
        number: the stream's identifier.
        head: what the application made of the header fields that came.
        chunks: the body that came, so far.
        size: bytes in ``chunks``.
        expected: what ``content-length`` says; -1 where it is not there.
        has_begun: the head of our message has left, and parts of it follow.
        is_simple: nothing of the body has come, and nothing is to be looked at when it does.
        has_all: the peer has ended its side.
        window: bytes that the peer still takes.
        room: bytes that we have still allowed the peer to send.
        unsent: what of our message waits for a window.
        reader: called at the end of each DATA frame, and once more at the end, where the body is taken as it comes.
        opened: when, on the coarse clock of `Connection.tick`.
        reset: code that the peer gave the stream up with; -1 where it has not.
        seen: what `Connection.tick` saw of ``unsent``, and when.
        varied: value of the field that is another in each request; None where it is not there.
        work: what answers; cancelled where the peer gives up.
    """

    __slots__ = (
        "chunks", "expected", "has_all", "has_begun", "head", "is_simple", "number", "opened", "reader", "reset",
        "room", "seen", "size", "unsent", "varied", "window", "work",
    )  # fmt: skip

    def __init__(self, number: int, head: Any, window: int, room: int, opened: float = 0.0) -> None:
        self.number = number
        self.head = head
        self.chunks: list[bytes | memoryview | bytearray] = []
        self.size = 0
        self.expected = -1
        self.has_all = self.has_begun = self.is_simple = False
        self.window = window
        self.room = room
        self.unsent: Unsent | None = None
        self.reader: Callable[[Stream], None] | None = None
        self.opened = opened
        self.reset = -1
        self.seen: tuple[int, float] | None = None
        self.varied: bytes | None = None
        self.work: Any = None

    def take(self, data: bytes, start: int, stop: int) -> None:
        """Add ``data[start:stop]`` to the body.

        A piece that is most of what was read is kept as a view of it, so that it is copied once, when the body is
        joined. Small pieces grow together: a body in frames of one byte would take forty times its size otherwise.
        """
        size = stop - start
        self.size += size
        if size < _SMALL and self.chunks:
            last = self.chunks[-1]
            if isinstance(last, bytearray):
                last += data[start:stop]
                return
            if len(last) < _SMALL:
                self.chunks[-1] = bytearray(last) + data[start:stop]
                return
        if size >= _SMALL and size * 2 >= len(data):
            self.chunks.append(data if size == len(data) else memoryview(data)[start:stop])
        else:
            self.chunks.append(data[start:stop])

    def body(self) -> bytes:
        """The body as it is now, in one piece."""
        chunks = self.chunks
        if len(chunks) == 1:
            chunk = chunks[0]
            return chunk if isinstance(chunk, bytes) else bytes(chunk)
        return b"".join(chunks)
