"""Bodies that the caller has compressed."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from penstock.proto import PayloadError, RequestError

if TYPE_CHECKING:
    from penstock.proto import Limits

# zlib's window sizes: with a gzip header, with a zlib header.
_ENCODINGS: Final = {b"gzip": 31, b"deflate": 15}


def inflated(body: bytes, encoding: bytes, limits: Limits) -> bytes:
    """The body as it was before ``content-encoding``.

    Raises:
        RequestError: 415, an encoding that is not read. PayloadError: the body is not in it.
        LimitError: it gets larger than a message may be; known before it is.
    """
    encoding = encoding.lower()
    if encoding == b"identity":
        return body
    if encoding not in _ENCODINGS:
        raise RequestError(
            f"the body has the content encoding {encoding.decode('latin-1')!r:.40}; gzip and deflate are read",
            code="UNSUPPORTED_ENCODING",
            http_status=415,
        )
    inflater = zlib.decompressobj(_ENCODINGS[encoding])
    try:
        text = inflater.decompress(body, limits.message_bytes + 1)
    except zlib.error:
        raise PayloadError(f"the body is not {encoding.decode()}", code="BAD_ENCODING") from None
    limits.check_bytes(len(text))
    if not inflater.eof:
        raise PayloadError(f"the body's {encoding.decode()} is cut off", code="BAD_ENCODING")
    return text
