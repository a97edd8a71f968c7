"""HTTP/1.1: any bytes are answered, refused or waited on, and it does not matter how they are cut.

The first two bytes tell where the rest is cut.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from penstock.proto import Limits, PenstockError
from penstock.serving.doors.connections import Connections
from penstock.serving.doors.exchange import Door, Request, Response, Route
from penstock.serving.doors.http1 import Http1, Http1Door
from penstock.serving.doors.rest import Rest
from penstock.serving.doors.routing import Router
from penstock.serving.metrics import Metrics

_ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) .*?content-length: (\d+)\r\n(?:connection: close\r\n)?\r\n", re.DOTALL)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class _Wire:
    """What a connection writes to."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False

    def write(self, data: bytes) -> None:
        assert not self.is_closed
        self.written += data

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.is_closed

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    resume_reading = pause_reading


async def _echo(request: Request) -> Response:
    return Response(repr((request.path, request.query, request.body)).encode(), content_type=b"text/plain")


async def _echo_later(request: Request) -> Response:
    await asyncio.sleep(0)
    return await _echo(request)


def _failure(error: PenstockError, _request: Request) -> Response:
    return Response(b"", error.http_status)


def _door() -> Http1Door:
    routes = [Route(("GET", "POST"), "/a", "a", _echo), Route(("POST",), "/b", "b", _echo_later)]
    door = Door("fuzz", routes, _failure)
    rest = Rest(Router([door]), lambda _path: door, Limits(message_bytes=200), Metrics("fuzz"))
    return Http1Door(rest, Connections())


async def _say(door: Http1Door, pieces: list[bytes]) -> tuple[list[tuple[bytes, bytes]], bool]:
    wire: Any = _Wire()
    connection = Http1(door)
    connection.connection_made(wire)
    for piece in pieces:
        if not wire.is_closed:
            connection.data_received(piece)
        while connection._is_answering or (connection._reading_paused and not wire.is_closed):  # noqa: ASYNC110
            await asyncio.sleep(0)
    connection.connection_lost(None)
    return _answers(wire.written), wire.is_closed


def _answers(text: bytes) -> list[tuple[bytes, bytes]]:
    found, text = [], text.replace(_CONTINUE, b"")
    while text:
        head = _ANSWER.match(text)
        assert head is not None, text
        stop = head.end() + int(head[2])
        # A body that is an error's is another where less had come when it was refused.
        found.append((head[1], text[head.end() : stop] if head[1] == b"200" else b""))
        text = text[stop:]
    return found


def run(data: bytes) -> None:
    cut, data = int.from_bytes(data[:2], "big"), bytes(data[2:])
    if b"HEAD" in data:  # whose answers only the caller can tell apart
        return
    asyncio.run(_compare(data, cut % (len(data) + 1)))


async def _compare(data: bytes, at: int) -> None:
    door = _door()
    whole = await _say(door, [data])
    assert await _say(door, [data]) == whole  # with the heads known
    assert await _say(door, [data[:at], data[at:]]) == whole
