"""How an answer begins in HTTP/1.1; what is the same in many answers is made once."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .exchange import Response


@cache
def _begin(status: int, content_type: bytes) -> bytes:
    return (
        b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\naccess-control-allow-origin: *\r\n"  # any page may ask
    ) % (status, _phrase(status), content_type)


def _phrase(status: int) -> bytes:
    if status == 200:
        return b"OK"
    # Imported when something else is to be told: a start should be short.
    from http import HTTPStatus

    return HTTPStatus(status).phrase.encode()


def answer_head(response: Response, date: bytes, *, keep: bool) -> bytes:
    """All that goes before the body.

    Args:
        response: the answer.
        date: the header line of that name.
        keep: whether more requests are taken on this connection.
    """
    body, status, content_type, headers = response
    begin = _begin(status, content_type)
    if len(headers) == 1:  # the puid
        ((name, value),) = headers
        begin = b"%b%b%b: %b\r\ncontent-length: %d\r\n" % (begin, date, name, value, len(body))
    else:
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        begin = b"%b%b%bcontent-length: %d\r\n" % (begin, date, lines, len(body))
    return begin + (b"\r\n" if keep else b"connection: close\r\n\r\n")
