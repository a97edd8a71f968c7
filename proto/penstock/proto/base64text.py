"""base64 as text carries it: standard or URL-safe alphabet, padding optional, nothing else accepted."""

from __future__ import annotations

import binascii

from .errors import PayloadError

_FOREIGN = "the base64 text has a character of neither alphabet, or padding in the wrong place"


def decode_base64(text: str | bytes) -> bytes:
    """Decode base64 text.

    Raises:
        PayloadError: ``BAD_BASE64``.
    """
    import pybase64  # with the first such text, here and below: a start should be short

    try:
        raw = text.encode("ascii") if isinstance(text, str) else bytes(text)
    except UnicodeEncodeError:
        raise PayloadError(_FOREIGN, code="BAD_BASE64") from None
    raw = raw.strip()
    if b"-" in raw or b"_" in raw:
        if b"+" in raw or b"/" in raw:
            raise PayloadError("the base64 text mixes the standard and the URL-safe alphabet", code="BAD_BASE64")
        raw = raw.translate(_TO_STANDARD)
    if b"=" not in raw:
        raw += b"=" * (-len(raw) % 4)
    try:
        return pybase64.b64decode(raw, validate=True)
    except binascii.Error:
        raise PayloadError(_FOREIGN, code="BAD_BASE64") from None


_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


def encode_base64(data: bytes | memoryview) -> str:
    """Encode as padded standard base64."""
    import pybase64

    return pybase64.b64encode_as_string(data)
