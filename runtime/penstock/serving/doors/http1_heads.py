"""The head of an HTTP/1.1 request: its line and its headers, read by llhttp and then by what RFC 9112 wants besides."""

from __future__ import annotations

from typing import Final, NamedTuple

import httptools

from penstock.proto import RequestError

# Where the end of a body is told by its chunks.
CHUNKED: Final = -1


class Head(NamedTuple):
    """What is known of a request before its body.

    Attributes:
        method: in capitals.
        target: as it came.
        headers: names in lower case; of a repeated one the last.
        keep: whether more requests may follow on the connection.
        length: bytes of the body, or `CHUNKED`.
        expects: whether the caller waits for a word before it sends the body (RFC 9110, 10.1.1).
    """

    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    keep: bool
    length: int
    expects: bool


def read_head(text: bytes) -> Head:
    """Read a head.

    Args:
        text: all of it, with the empty line at its end.

    Raises:
        RequestError: 400; 501 a transfer coding, 505 a version that is not read.
    """
    found = _Found()
    parser = found.parser = httptools.HttpRequestParser(found)
    try:
        parser.feed_data(text)
    except httptools.HttpParserUpgrade:
        pass  # an offer of another protocol, which we do not take
    except httptools.HttpParserError:
        raise refusal("this is not HTTP/1.1") from None
    if not found.is_complete:
        raise refusal("this is not HTTP/1.1")
    version = parser.get_http_version()
    if version not in {"1.1", "1.0"}:
        raise refusal(f"HTTP/{version} is not spoken in this form", status=505, code="HTTP_VERSION")
    headers, is_new = found.headers, version == "1.1"
    if found.hosts > 1 or (is_new and not found.hosts):
        raise refusal(f"the request has {found.hosts} Host headers, not one")
    return Head(
        parser.get_method(),
        found.target,
        headers,
        keep=is_new and found.keeps,
        length=_length(found, is_new=is_new),
        expects=is_new and headers.get(b"expect", b"").lower() == b"100-continue",
    )


def _length(found: _Found, *, is_new: bool) -> int:
    headers = found.headers
    coding = headers.get(b"transfer-encoding")
    if coding is None:
        return int(headers.get(b"content-length", b"0"))
    if b"content-length" in headers or not is_new:
        raise refusal("the body's length is told in two ways")
    if found.codings > 1 or coding.lower() != b"chunked":
        raise refusal("the only transfer coding that is read is chunked", status=501, code="TRANSFER_CODING")
    return CHUNKED


class _Found:
    """What the parser calls."""

    parser: httptools.HttpRequestParser

    def __init__(self) -> None:
        self.target = b""
        self.headers: dict[bytes, bytes] = {}
        self.hosts = self.codings = 0
        self.is_complete = self.keeps = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"host":
            self.hosts += 1
        elif name == b"transfer-encoding":
            self.codings += 1
        self.headers[name] = value

    def on_headers_complete(self) -> None:
        self.is_complete = True
        # Asked now: behind the head the parser says something else.
        self.keeps = self.parser.should_keep_alive()


def refusal(text: str, *, status: int = 400, code: str = "BAD_HTTP") -> RequestError:
    """The error for what cannot be read."""
    return RequestError(text, code=code, http_status=status, grpc_status="INVALID_ARGUMENT")
