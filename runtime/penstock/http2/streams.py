"""One request and its answer."""

from __future__ import annotations

from typing import Any


class Stream:
    """What a connection keeps of a request until its answer has left.

    Attributes:
        number: the stream's identifier.
        head: what the application made of its header fields.
        chunks: its body so far.
        size: bytes in ``chunks``.
        expected: what ``content-length`` says; -1 where it is not there.
        has_all: the peer has ended its side.
        window: bytes that the peer still takes.
        room: bytes that we have still allowed the peer to send.
        unsent: pieces of an answer that wait for the window, the last ones being trailers.
        work: what answers; cancelled where the peer gives up.
    """

    __slots__ = ("chunks", "expected", "has_all", "head", "number", "room", "size", "unsent", "window", "work")

    def __init__(self, number: int, head: Any, window: int, room: int) -> None:
        self.number = number
        self.head = head
        self.chunks: list[bytes] = []
        self.size = 0
        self.expected = -1
        self.has_all = False
        self.window = window
        self.room = room
        self.unsent: Unsent | None = None
        self.work: Any = None


class Unsent:
    """The rest of an answer.

    Attributes:
        body: what of it has not left.
        last: the frame behind it, trailers with END_STREAM; None where the body's last frame ends the stream.
    """

    __slots__ = ("body", "last")

    def __init__(self, body: memoryview, last: bytes | None) -> None:
        self.body = body
        self.last = last
