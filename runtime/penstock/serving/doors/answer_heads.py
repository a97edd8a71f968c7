"""How an answer begins in HTTP/1.1; what is the same in many answers is made once."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .exchange import Response


@cache
def _begin(status: int, content_type: bytes) -> bytes:
    phrase = HTTPStatus(status).phrase.encode()
    return (
        b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\naccess-control-allow-origin: *\r\n"  # any page may ask
    ) % (status, phrase, content_type)


def answer_head(response: Response, date: bytes, *, keep: bool) -> bytes:
    """All that goes before the body.

    Args:
        response: the answer.
        date: the header line of that name.
        keep: whether more requests are taken on this connection.
    """
    begin = _begin(response.status, response.content_type) + date
    for name, value in response.headers:
        begin += b"%s: %s\r\n" % (name, value)
    if keep:
        return begin + b"content-length: %d\r\n\r\n" % len(response.body)
    return begin + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(response.body)
