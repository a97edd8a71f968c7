"""What a caller wants to send beside the request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = re.compile(r"[0-9a-z_.-]+")  # what gRPC takes as a key; HTTP takes more
_VALUE: Final = re.compile(r"[\x20-\x7e]*")
# The token has an argument of its own; the others are the transport's.
_TAKEN: Final = frozenset(
    {"authorization", "host", "content-type", "content-length", "transfer-encoding", "connection"}
)


def checked_headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The headers as both transports take them.

    Raises:
        SetupError: a name or value that gRPC or HTTP does not take.
    """
    return tuple(_checked(name.lower(), value) for name, value in headers.items())


def _checked(name: str, value: str) -> tuple[str, str]:
    if not _NAME.fullmatch(name) or name in _TAKEN or name.startswith("grpc-") or name.endswith("-bin"):
        raise SetupError(f"{name!r:.80} is no header that a caller may set", code="BAD_HEADER")
    if not _VALUE.fullmatch(value):
        raise SetupError(f"the header {name} takes printable ASCII only, not {value!r:.80}", code="BAD_HEADER")
    return name, value
