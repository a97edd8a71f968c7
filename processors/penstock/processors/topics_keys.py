"""The key of a record as an attribute, and back."""

from __future__ import annotations

from enum import StrEnum

from penstock.proto import PayloadError


class KeyEncoding(StrEnum):
    """How an attribute, which is text, holds a key, which is bytes."""

    TEXT = "UTF-8"
    HEX = "hex"


def key_text(key: bytes, encoding: KeyEncoding) -> str:
    """A key as text; what is not UTF-8 is replaced, so keys that are no text want hex."""
    return key.hex() if encoding is KeyEncoding.HEX else key.decode(errors="replace")


def key_bytes(text: str, encoding: KeyEncoding) -> bytes:
    """The key that a text stands for.

    Raises:
        PayloadError: ``BAD_KEY``, it is not hexadecimal.
    """
    if encoding is KeyEncoding.TEXT:
        return text.encode()
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise PayloadError(f"the key {text!r:.40} is not hexadecimal", code="BAD_KEY") from None
