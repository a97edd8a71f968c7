"""RFC 9113, 8.2 and 8.3: what makes a request."""

from __future__ import annotations

import pytest

from penstock.http2.request_fields import malformed, trailers_malformed

GET = ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"))


def test_what_is_fine() -> None:
    assert malformed(GET) is None
    assert malformed((*GET, (b":authority", b"h"), (b"te", b"trailers"), (b"x-y", b""))) is None
    assert malformed((*GET, (b"content-length", b"12"), (b"content-length", b"12"))) == 12


@pytest.mark.parametrize(
    "fields",
    [
        (),
        GET[1:],
        GET[:2],
        (*GET, (b":path", b"/2")),
        (*GET[:2], (b":path", b"")),
        (*GET, (b"x", b"1"), (b":authority", b"h")),
        (*GET, (b":status", b"200")),
        (*GET, (b"X", b"1")),
        (*GET, (b"a b", b"1")),
        (*GET, (b"", b"1")),
        (*GET, (b"x", b"1\r\ny: 2")),
        (*GET, (b"x", b" 1")),
        (*GET, (b"x", b"\0")),
        (*GET, (b"connection", b"close")),
        (*GET, (b"transfer-encoding", b"chunked")),
        (*GET, (b"upgrade", b"h2c")),
        (*GET, (b"te", b"gzip")),
        (*GET, (b"content-length", b"1"), (b"content-length", b"2")),
        (*GET, (b"content-length", b"+1")),
    ],
)
def test_what_is_not(fields: tuple[tuple[bytes, bytes], ...]) -> None:
    assert malformed(fields) == -1


def test_trailers() -> None:
    assert not trailers_malformed(((b"x", b"1"),))
    assert trailers_malformed(((b":path", b"/"),))
    assert trailers_malformed(((b"connection", b"close"),))
