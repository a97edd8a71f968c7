"""HTTP/1.1 whose end can be read in two ways: it is refused, and what comes behind it is never taken for a request.

The forms are those by which one server is made to see a request where another saw a body (RFC 9112, 11.2).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..conftest import Served

_HEAD: Final = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
_BEHIND: Final = b"GET /health/ping HTTP/1.1\r\nHost: x\r\n\r\n"
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
_BODY: Final = b'15\r\n{"strData": "a", "x":1}\r\n0\r\n\r\n'

AMBIGUOUS: Final = {
    "length and chunked": _HEAD + b"Content-Length: 5\r\n" + _CHUNKED + b"\r\n0\r\n\r\n",
    "chunked and length": _HEAD + _CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": _HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a list of lengths": _HEAD + b"Content-Length: 2, 3\r\n\r\n{}",
    "a length with a sign": _HEAD + b"Content-Length: +2\r\n\r\n{}",
    "a negative length": _HEAD + b"Content-Length: -2\r\n\r\n{}",
    "a length in hexadecimal": _HEAD + b"Content-Length: 0x2\r\n\r\n{}",
    "a length with a space": _HEAD + b"Content-Length: 2 2\r\n\r\n{}",
    "an empty length": _HEAD + b"Content-Length:\r\n\r\n{}",
    "a length beyond 64 bits": _HEAD + b"Content-Length: 18446744073709551618\r\n\r\n{}",
    "chunked is not last": _HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n" + _BODY,
    "an unknown coding": _HEAD + b"Transfer-Encoding: xchunked\r\n\r\n" + _BODY,
    "chunked twice": _HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + _BODY,
    "a control character in the coding": _HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + _BODY,
    "a space before the colon": _HEAD + b"Transfer-Encoding : chunked\r\n\r\n" + _BODY,
    "a folded line": _HEAD + b"X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n",
    "a space in a name": _HEAD + b"Content Length: 2\r\n\r\n{}",
    "a control character in a name": _HEAD + b"X\x00A: b\r\n\r\n",
    "a control character in a value": _HEAD + b"X-A: b\x00c\r\n\r\n",
    "a line that ends with CR": _HEAD + b"X-A: b\rContent-Length: 2\r\n\r\n{}",
    "a chunk size with a sign": _HEAD + _CHUNKED + b"\r\n+2\r\n{}\r\n0\r\n\r\n",
    "a negative chunk size": _HEAD + _CHUNKED + b"\r\n-2\r\n{}\r\n0\r\n\r\n",
    "a chunk size with 0x": _HEAD + _CHUNKED + b"\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": _HEAD + _CHUNKED + b"\r\n10000000000000002\r\n{}\r\n0\r\n\r\n",
    "a chunk without its end": _HEAD + _CHUNKED + b"\r\n2\r\n{}0\r\n\r\n",
    "a chunk line that ends with LF": _HEAD + _CHUNKED + b"\r\n2\n{}\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": _HEAD.replace(b"1.1", b"1.0") + _CHUNKED + b"Content-Length: 2\r\n\r\n{}",
    "no such version": _HEAD.replace(b"1.1", b"3.7") + b"Content-Length: 2\r\n\r\n{}",
    "no method": b" /predict HTTP/1.1\r\nHost: x\r\n\r\n",
    "no header name": _HEAD + b": b\r\n\r\n",
}


@pytest.mark.parametrize("form", AMBIGUOUS)
async def test_what_is_ambiguous_is_refused_and_ends_the_connection(serve: Callable[..., Served], form: str) -> None:
    told = await answers(serve("units").http, AMBIGUOUS[form] + _BEHIND)
    assert told.startswith(b"HTTP/1.1 4"), told
    assert told.count(b"HTTP/1.1 ") == 1, told
    assert b"pong" not in told


async def test_what_is_not_ambiguous_is_answered(serve: Callable[..., Served]) -> None:
    bodies = _HEAD + b'Content-Length: 16\r\n\r\n{"strData": "a"}' + _HEAD + _CHUNKED + b"\r\n10\r\n"
    told = await answers(serve("units").http, bodies + b'{"strData": "b"}\r\n0\r\n\r\n' + _BEHIND, until=b"pong")
    assert told.count(b"HTTP/1.1 200") == 3, told


async def answers(address: str, request: bytes, until: bytes | None = None) -> bytes:
    """All that comes until the server hangs up, or ``until`` is there."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    told = b""
    try:
        writer.write(request)
        while piece := await asyncio.wait_for(reader.read(1 << 16), 60):
            told += piece
            if until is not None and told.endswith(until):
                break
    except ConnectionResetError:
        pass
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)
    return told
