"""The frames of an HTTP/2 connection: any bytes end in answers or in GOAWAY, and nothing is left of what was counted.

The first byte says what the others are: bytes as they come after the greeting (even), or, so that more than the first
frame is reached, frames in short: kind, flags, stream, length, payload (odd).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.fuzz.frame_pieces import pieces

from penstock.http2 import frames
from penstock.http2.connection import Connection
from penstock.http2.limits import Limits

if TYPE_CHECKING:
    from penstock.http2.field_blocks import Fields
    from penstock.http2.streams import Stream

_LIMITS = Limits(streams=8, body=2000, bodies=5000, nuisance=100, held=20_000, turn=4000)
_ANSWER = ((b":status", b"200"), (b"content-type", b"x/y"))


class _Kept(NamedTuple):
    follows: bool
    most: int = _LIMITS.body


class _Echo:
    varying: bytes | None = b"te"
    connection: Connection

    def head(self, fields: Fields) -> _Kept:
        return _Kept(len(fields) > 5)

    def begin(self, stream: Stream) -> None:
        stream.reader = self._part

    def _part(self, stream: Stream) -> None:
        body = stream.body()
        self.connection.taken(stream)
        self.connection.part(stream, _ANSWER, body)
        if stream.has_all:
            self.connection.finish(stream, _ANSWER, b"")

    def request(self, stream: Stream) -> None:
        body = stream.body()
        assert len(body) == stream.size <= _LIMITS.body
        self.connection.answer(stream, _ANSWER, b"", b"lead", body)

    def growing(self, stream: Stream) -> int:
        return 0

    def refuse(self, stream: Stream) -> None:
        self.connection.answer(stream, ((b":status", b"413"),), b"", b"", b"")

    def gone(self, stream: Stream) -> None:
        pass


def run(data: bytes) -> None:
    echo = _Echo()
    connection = echo.connection = Connection(echo, _LIMITS, lambda: 0.0)
    connection.feed(frames.PREFACE + frames.settings({}))
    sent = 0
    for piece in pieces(data):
        connection.feed(piece)
        while connection.more:
            connection.feed(b"")
        connection.pump()
        sent += sum(map(len, connection.sender.out))
        connection.sender.out = []
        connection.sender.room = _LIMITS.turn
        assert len(connection.streams) <= _LIMITS.streams
        assert sum(stream.size for stream in connection.streams.values() if not stream.has_all) <= _LIMITS.bodies
        assert 0 <= connection._budget.left <= _LIMITS.bodies
        assert sum(len(name) + len(value) + 32 for name, value in connection._decoder._entries) <= 4096
    assert sent < 100 * (len(data) + 10)
    connection.tick(1.0)
    connection.abandon()
    assert (connection._budget.left, connection.sender.held, connection.sender.waiting) == (_LIMITS.bodies, 0, {})
