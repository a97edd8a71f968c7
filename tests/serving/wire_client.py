"""An HTTP/2 client that sends whatever it is told to, right or wrong, and says what came back.

It shares nothing with `penstock.http2` but the RFC: header blocks go through the package hpack.
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hpack import Decoder, Encoder

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
_INITIAL_WINDOW_SIZE = 4
_LARGEST_WINDOW = (1 << 31) - 1

Fields = list[tuple[bytes, bytes]]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame, RFC 9113, 4.1."""
    return struct.pack(">HBBBL", len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


def settings(values: dict[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HL", *item) for item in values.items()))


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">L", increment))


def message(body: bytes, compressed: int = 0) -> bytes:
    """A gRPC message with its prefix."""
    return struct.pack(">BL", compressed, len(body)) + body


@dataclass
class Answer:
    """What came on one stream.

    Attributes:
        fields: of the first header block, and ``trailers`` of the last where there were two.
        reset: the code of RST_STREAM; None where none came.
        lost: the connection ended before the stream did.
    """

    fields: dict[bytes, bytes] = field(default_factory=dict)
    trailers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    reset: int | None = None
    lost: bool = False

    @property
    def status(self) -> int | None:
        """The gRPC status, None where there is none."""
        text = self.trailers.get(b"grpc-status", self.fields.get(b"grpc-status"))
        return None if text is None else int(text)

    @property
    def details(self) -> bytes:
        return self.trailers.get(b"grpc-message", self.fields.get(b"grpc-message", b""))


class WireClient(asyncio.Protocol):
    """One connection. ``window`` is what the server may send on a stream before it is allowed more."""

    def __init__(self, window: int = _LARGEST_WINDOW, *, reads: bool = True) -> None:
        self.window = window
        self.answers: dict[int, Answer] = {}
        self.pings = 0
        self.goaway: tuple[int, int, bytes] | None = None
        self.peer: dict[int, int] = {}
        self.closed = asyncio.get_running_loop().create_future()
        self.ready = asyncio.get_running_loop().create_future()
        self._reads = reads
        self._moved = asyncio.Event()
        self._room: dict[int, int] = {0: 65_535}
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._next = 1
        self._rest = b""
        self._block = b""
        self._encoder, self._decoder = Encoder(), Decoder()
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        values = {_INITIAL_WINDOW_SIZE: self.window}
        more = window_update(0, _LARGEST_WINDOW - 65_535) if self.window > 65_535 else b""
        transport.write(PREFACE + settings(values) + more)
        if not self._reads:
            transport.pause_reading()
            self.ready.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(error)
        if not self.ready.done():
            self.ready.set_result(None)
        self._moved.set()
        for number, waiting in self._waiting.items():
            self.answers[number].lost = True
            if not waiting.done():
                waiting.set_result(self.answers[number])
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        at = 0
        while len(data) - at >= 9:
            high, low, kind, flags, number = struct.unpack_from(">HBBBL", data, at)
            stop = at + 9 + (high << 8 | low)
            if stop > len(data):
                break
            self._frame(kind, flags, number, data[at + 9 : stop])
            at = stop
        self._rest = data[at:]

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == SETTINGS:
            self._settings(flags, payload)
        elif kind == PING and not flags & ACK:
            self.send(frame(PING, ACK, 0, payload))
        elif kind == PING:
            self.pings += 1
        elif kind == GOAWAY:
            last, code = struct.unpack_from(">LL", payload)
            self.goaway = (last, code, payload[8:])
        elif kind == WINDOW_UPDATE:
            if number in self._room:
                self._room[number] += struct.unpack(">L", payload)[0]
            self._moved.set()
        elif number in self.answers:
            self._on_stream(kind, flags, number, payload)

    def _settings(self, flags: int, payload: bytes) -> None:
        if flags & ACK:
            return
        before = self.peer.get(_INITIAL_WINDOW_SIZE, 65_535)
        self.peer.update(struct.unpack_from(">HL", payload, at) for at in range(0, len(payload), 6))
        grown = self.peer.get(_INITIAL_WINDOW_SIZE, 65_535) - before
        self._room.update({number: room + grown for number, room in self._room.items() if number})
        self._moved.set()
        self.send(frame(SETTINGS, ACK, 0))
        if not self.ready.done():
            self.ready.set_result(None)

    def _on_stream(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        answer = self.answers[number]
        if kind in (HEADERS, CONTINUATION):
            self._block += payload
            if flags & END_HEADERS:
                fields = dict(self._decoder.decode(self._block, raw=True))
                self._block = b""
                if answer.fields:
                    answer.trailers = fields
                else:
                    answer.fields = fields
        elif kind == DATA:
            answer.body += payload
        elif kind == RST_STREAM and number in self._waiting:
            answer.reset = struct.unpack(">L", payload)[0]
        if kind == RST_STREAM or (flags & END_STREAM and kind in (HEADERS, DATA)):
            self._room.pop(number, None)
            self._moved.set()
            waiting = self._waiting.pop(number, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)

    def send(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def headers(self, fields: Iterable[tuple[bytes, bytes]], flags: int = END_HEADERS) -> int:
        """Open a stream; its number. No field is put into the server's dynamic table."""
        number, self._next = self._next, self._next + 2
        self.answers[number] = Answer()
        self._waiting[number] = asyncio.get_running_loop().create_future()
        self._room[number] = self.peer.get(_INITIAL_WINDOW_SIZE, 65_535)
        self.send(frame(HEADERS, flags, number, self._encoder.encode([(*item, True) for item in fields])))
        return number

    def trailers(self, number: int, fields: Fields) -> None:
        self.send(
            frame(HEADERS, END_HEADERS | END_STREAM, number, self._encoder.encode([(*item, True) for item in fields]))
        )

    async def answer(self, number: int) -> Answer:
        """Wait until the server has ended a stream."""
        waiting = self._waiting.get(number)
        return self.answers.pop(number) if waiting is None else await self._popped(number, waiting)

    async def _popped(self, number: int, waiting: asyncio.Future[Answer]) -> Answer:
        answer = await waiting
        self.answers.pop(number, None)
        return answer

    async def body(self, number: int, data: bytes, *, ends: bool = True, step: int = 16_384) -> None:
        """Send a body in frames of ``step`` bytes, as fast as the server allows; stop where it ends the stream."""
        at = 0
        while at < len(data):
            room = min(self._room.get(number, -1), self._room[0], step, len(data) - at)
            if number not in self._room or self.closed.done():
                return
            if room <= 0:
                self._moved.clear()
                await self._moved.wait()
                continue
            self._room[number] -= room
            self._room[0] -= room
            at += room
            self.send(frame(DATA, END_STREAM if ends and at == len(data) else 0, number, data[at - room : at]))
        if ends and not data:
            self.send(frame(DATA, END_STREAM, number))

    async def unary(self, path: str, body: bytes, metadata: Fields | None = None) -> Answer:
        """An ordinary gRPC call."""
        number = self.headers([*grpc_fields(path), *(metadata or [])])
        await self.body(number, message(body))
        return await self.answer(number)

    def close(self) -> None:
        self._transport.abort()


def grpc_fields(path: str) -> Fields:
    return [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path.encode()),
        (b":authority", b"localhost"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    ]


@asynccontextmanager
async def connected(
    address: str, window: int = _LARGEST_WINDOW, *, context: ssl.SSLContext | None = None, reads: bool = True
) -> AsyncIterator[WireClient]:
    """A connection to ``host:port``, after the server's SETTINGS have come."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(
        lambda: WireClient(window, reads=reads), host, int(port), ssl=context, server_hostname=host if context else None
    )
    try:
        await asyncio.wait_for(client.ready, 60)
        yield client
    finally:
        client.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(client.closed, 5)
