"""Which header fields make a request, RFC 9113, 8.2 and 8.3."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .field_blocks import Fields

_PSEUDO: Final = frozenset({b":method", b":scheme", b":authority", b":path"})
_NEEDED: Final = frozenset({b":method", b":scheme", b":path"})
_OF_ONE_HOP: Final = frozenset({b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"})
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_BAD_VALUE: Final = re.compile(rb"[\x00\r\n]|^[ \t]|[ \t]$")
_DIGITS: Final = re.compile(rb"[0-9]{1,18}")


def malformed(fields: Fields) -> int | None:
    """What is to be known before the body comes.

    Returns:
        -1 for what is no request; what ``content-length`` says; None where it says nothing.
    """
    seen: set[bytes] = set()
    length: int | None = None
    ordinary = False
    for name, value in fields:
        if name[:1] == b":":
            if ordinary or name in seen or name not in _PSEUDO:
                return -1
            seen.add(name)
        else:
            ordinary = True
            if not _is_field(name, value):
                return -1
            if name == b"content-length":
                if not _DIGITS.fullmatch(value) or (length is not None and length != int(value)):
                    return -1
                length = int(value)
    paths = [value for name, value in fields if name == b":path"]
    if not seen >= _NEEDED or not paths[0]:
        return -1
    return length


def trailers_malformed(fields: Fields) -> bool:
    """Trailers have no pseudo fields."""
    return any(name[:1] == b":" or not _is_field(name, value) for name, value in fields)


def _is_field(name: bytes, value: bytes) -> bool:
    if not _NAME.fullmatch(name) or name in _OF_ONE_HOP or _BAD_VALUE.search(value):
        return False
    return name != b"te" or value == b"trailers"
