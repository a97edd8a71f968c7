"""A server's connection with an application that echoes, and a peer that speaks by hand, with hpack's coder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hpack import Decoder, Encoder

from penstock.http2 import frames
from penstock.http2.connection import Connection
from penstock.http2.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from penstock.http2.field_blocks import Fields
    from penstock.http2.frames import Setting
    from penstock.http2.streams import Stream

ASK = ((b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/"))
OK = ((b":status", b"200"), (b"content-type", b"x/y"))


@dataclass(frozen=True, slots=True)
class Kept:
    fields: Fields
    most: int
    follows: bool = False


class Echo:
    """Answers each request with its body, at once or when it is told to."""

    varying: bytes | None = b"x-varying"

    def __init__(self) -> None:
        self.connection: Connection
        self.at_once = True
        self.requests: list[tuple[Fields, bytes]] = []
        self.waiting: list[Stream] = []
        self.most = 0
        self.refused: list[int] = []
        self.lost: list[int] = []
        self.parts: list[bytes] = []

    def head(self, fields: Fields) -> Kept:
        return Kept(fields, self.most, follows=(b"x-follows", b"1") in fields)

    def begin(self, stream: Stream) -> None:
        stream.reader = self._part

    def _part(self, stream: Stream) -> None:
        body = stream.body()
        self.connection.taken(stream)
        self.parts.append(body)
        if body:
            self.connection.part(stream, OK, body)
        if stream.has_all:
            self.connection.finish(stream, OK, b"")

    def request(self, stream: Stream) -> None:
        self.requests.append((stream.head.fields, stream.body()))
        self.waiting.append(stream)
        if self.at_once:
            self.answer()

    def answer(self) -> None:
        for stream in self.waiting:
            self.connection.answer(stream, OK, b"", b"", self.requests[-len(self.waiting)][1])
            self.waiting = self.waiting[1:]

    def growing(self, stream: Stream) -> int:
        return 0

    def refuse(self, stream: Stream) -> None:
        self.refused.append(stream.number)
        self.connection.answer(stream, ((b":status", b"413"),), b"", b"", b"")

    def gone(self, stream: Stream) -> None:
        self.lost.append(stream.number)


@dataclass
class Answer:
    fields: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False
    reset: int | None = None


class Peer:
    """The other side: frames by hand, and what came back."""

    def __init__(self, limits: Limits) -> None:
        self.now = 100.0
        self.echo = Echo()
        self.echo.most = limits.body
        self.connection = self.echo.connection = Connection(self.echo, limits, lambda: self.now)
        self.encoder, self.decoder = Encoder(), Decoder()
        self.answers: dict[int, Answer] = {}
        self.other: list[tuple[int, int, bytes]] = []
        self.goaway: frames.Code | None = None
        self._came = b""

    def greet(self, settings: dict[Setting, int] | None = None) -> Peer:
        self.connection.feed(frames.PREFACE + frames.settings(settings or {}))
        self.read()
        return self

    def block(self, *more: tuple[bytes, bytes]) -> bytes:
        return bytes(self.encoder.encode([*ASK, *more]))

    def ask(self, number: int, body: bytes = b"", *more: tuple[bytes, bytes], ends: bool = True) -> bytes:
        """The frames of a request."""
        flags = frames.END_HEADERS | (frames.END_STREAM if ends and not body else 0)
        asked = frames.frame(frames.HEADERS, flags, number, self.block(*more))
        if body:
            asked += frames.frame(frames.DATA, frames.END_STREAM if ends else 0, number, body)
        return asked

    def send(self, data: bytes) -> Peer:
        self.connection.feed(data)
        while self.connection.more:
            self.connection.feed(b"")
        return self.read()

    def send_cut(self, data: bytes, cuts: Iterable[int]) -> None:
        """Send pieces of these sizes, then the rest."""
        at = 0
        for size in cuts:
            self.send(data[at : at + size])
            at += size
        self.send(data[at:])

    def read(self) -> Peer:
        """Take what the connection sends."""
        sender = self.connection.sender
        while True:
            self.connection.pump()
            sender.room = 1 << 18
            if not sender.out:
                return self
            self._came += b"".join(sender.out)
            sender.out = []
            self._frames()

    def _frames(self) -> None:
        while len(self._came) >= frames.HEAD_BYTES:
            high, low, kind, flags, number = frames.HEAD.unpack_from(self._came)
            end = frames.HEAD_BYTES + (high << 8 | low)
            assert len(self._came) >= end, "a frame that was not sent whole"
            payload, self._came = self._came[frames.HEAD_BYTES : end], self._came[end:]
            self._frame(kind, flags, number, payload)

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == frames.GOAWAY:
            self.goaway = frames.Code(int.from_bytes(payload[4:8]))
        if kind not in (frames.HEADERS, frames.DATA, frames.RST_STREAM):
            self.other.append((kind, number, payload))
            return
        answer = self.answers.setdefault(number, Answer())
        if kind == frames.RST_STREAM:
            answer.reset = int.from_bytes(payload)
            return
        assert not answer.ended, "a frame behind the end"
        answer.ended = bool(flags & frames.END_STREAM)
        if kind == frames.DATA:
            answer.body += payload
        else:
            fields: Any = self.decoder.decode(payload)
            answer.fields |= dict(fields)


@pytest.fixture
def connect() -> Callable[..., Peer]:
    """``connect(**limits)`` gives a peer that has not said anything yet."""

    def made(**limits: Any) -> Peer:
        return Peer(Limits(**limits))

    return made


@pytest.fixture
def peer(connect: Callable[..., Peer]) -> Peer:
    return connect().greet()
