"""One request and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .gathered import Gathered

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
        gathered: what comes behind ``chunks``, where it is known how much that is.
        size: bytes of the body that came, so far.
        total: bytes of the whole body; 0 where they are not known, -1 where nobody has looked.
        lead: bytes at the start of the body that are wanted apart from the rest.
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
        "chunks", "expected", "gathered", "has_all", "has_begun", "head", "is_simple", "lead", "number", "opened",
        "reader", "reset", "room", "seen", "size", "total", "unsent", "varied", "window", "work",
    )  # fmt: skip

    def __init__(self, number: int, head: Any, window: int, room: int, opened: float = 0.0) -> None:
        self.number = number
        self.head = head
        self.chunks: list[bytes | memoryview | bytearray] = []
        self.gathered: Gathered | None = None
        self.size = self.lead = 0
        self.expected = self.total = -1
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

    @property
    def held(self) -> int:
        """Bytes of memory for the body."""
        return self.size if self.gathered is None else self.size + self.gathered.left

    def take(self, data: bytes, start: int, stop: int) -> None:
        """Add ``data[start:stop]`` to the body.

        A piece that is most of what was read is kept as a view of it, so that it is copied once, when the body is
        joined. Small pieces grow together: a body in frames of one byte would take forty times its size otherwise.
        """
        size = stop - start
        self.size += size
        if self.gathered is not None:
            self._gather(memoryview(data)[start:stop])
            return
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

    def take_alike(self, data: bytes, start: int, size: int, step: int, count: int) -> None:
        """Add ``count`` pieces of ``size`` bytes to the body: those in ``data`` from ``start`` on, one each ``step``.

        As in `take`, views of what was read are kept where they are most of it.
        """
        view = memoryview(data)
        pieces = [view[at : at + size] for at in range(start, start + count * step, step)]
        self.size += size * count
        if self.gathered is not None:
            for piece in pieces:
                self._gather(piece)
        elif size * count * 2 >= len(data):
            self.chunks += pieces
        else:
            self.chunks.append(b"".join(pieces))

    def gather(self) -> None:
        """Have the rest of the body in one piece with what has come, except for its lead, which has come.

        The chunks are then the lead and, once ``total`` bytes have come, the rest.
        """
        chunks = self.chunks
        first = chunks[0] if len(chunks[0]) >= self.lead else b"".join(chunks)
        if first is not chunks[0]:
            chunks = [first]
        self.chunks = [bytes(first[: self.lead])]
        self.gathered = Gathered(self.total - self.lead)
        for piece in (memoryview(first)[self.lead :], *chunks[1:]):
            self._gather(piece)

    def _gather(self, piece: bytes | memoryview | bytearray) -> None:
        size, gathered = len(piece), self.gathered
        if gathered is None:  # behind the end
            self.chunks.append(bytes(piece))
        elif size < gathered.left:
            gathered.take(piece, size)
        else:
            left = gathered.left
            gathered.take(piece[:left], left)
            self.chunks.append(gathered.whole())
            self.gathered = None
            if left < size:
                self.chunks.append(bytes(piece[left:]))

    def drop(self) -> None:
        """Forget the body that came."""
        self.chunks = []
        self.gathered = None
        self.size = 0

    def body(self) -> bytes:
        """The body as it is now, in one piece."""
        chunks = self.chunks
        if self.gathered is not None:
            return b"".join((*chunks, self.gathered.part()))
        if len(chunks) == 1:
            chunk = chunks[0]
            return chunk if isinstance(chunk, bytes) else bytes(chunk)
        return b"".join(chunks)
