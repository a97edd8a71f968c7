"""Which header fields make an answer, RFC 9113, 8.2 and 8.3."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .field_blocks import Fields

MALFORMED: Final = -1
TRAILERS: Final = 0

_STATUS: Final = re.compile(rb"[1-9][0-9][0-9]")
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
# Space around a value is not allowed either, but gRPC's own servers send it in grpc-message.
_BAD_VALUE: Final = re.compile(rb"[\x00\r\n]")


def answer_status(fields: Fields) -> int:
    """The HTTP status; `TRAILERS` where there is none, `MALFORMED` for what is no answer."""
    status = TRAILERS
    if fields and fields[0][0] == b":status":
        if not _STATUS.fullmatch(fields[0][1]):
            return MALFORMED
        status, fields = int(fields[0][1]), fields[1:]
    bad = any(not _NAME.fullmatch(name) or _BAD_VALUE.search(value) for name, value in fields)
    return MALFORMED if bad else status
