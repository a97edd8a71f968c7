"""What a caller is told when something raised: our own errors as they are, anything else as a fixed text and an id."""

from __future__ import annotations

import logging
from uuid import uuid4

from penstock.proto import PenstockError

_log = logging.getLogger(__name__)

# gRPC carries the text in a header, and clients refuse headers of more than 8 KiB.
_LONGEST_TEXT = 2000


def told(error: Exception) -> PenstockError:
    """The error to answer with; what is not ours is logged, with the id that the caller is given."""
    if isinstance(error, PenstockError):
        return error
    error_id = uuid4().hex[:12]
    _log.error("error %s", error_id, exc_info=error)
    return PenstockError(f"the service failed; its log tells why, under error id {error_id}", code="INTERNAL")


def info(error: PenstockError) -> str:
    """The text of an error, on every protocol: ``CODE: message``."""
    text = f"{error.code}: {error.message}"
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
