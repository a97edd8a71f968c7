"""What becomes of a FlowFile."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from penstock.proto import Kind, PenstockError

SUCCESS: Final = "success"
FAILURE: Final = "failure"
RETRY: Final = "retry"

ERROR_CODE: Final = "invokemodel.error.code"
ERROR_MESSAGE: Final = "invokemodel.error.message"

_MIME_TYPES: Final = {
    Kind.BIN_DATA: "application/octet-stream",
    Kind.STR_DATA: "text/plain",
    Kind.JSON_DATA: "application/json",
    Kind.NDARRAY: "application/json",
    Kind.TENSOR: "application/json",
    Kind.TFTENSOR: "application/x-protobuf",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The relationship that a FlowFile goes to, and what is changed of it.

    Attributes:
        relationship: success, failure or retry.
        attributes: to set.
        contents: the new content; None keeps the old one.
    """

    relationship: str
    attributes: dict[str, str] = field(default_factory=dict)
    contents: bytes | None = None

    def after_error(self) -> Outcome:
        """The outcome of a FlowFile that has failed before: NiFi's Python API cannot take the old error away."""
        return replace(self, attributes={ERROR_CODE: "", ERROR_MESSAGE: "", **self.attributes})

    @property
    def error(self) -> str:
        """What went wrong, for a log."""
        return f"{self.attributes.get(ERROR_CODE, '')}: {self.attributes.get(ERROR_MESSAGE, '')}"


def failed(processor: str, error: PenstockError) -> Outcome:
    """The outcome of something that went wrong: the content unchanged, the error in attributes.

    Args:
        processor: its name, whose lower-case form the attributes begin with.
        error: to retry where the same can succeed later, else to failure.
    """
    prefix = processor.lower()
    attributes = {f"{prefix}.error.code": error.code, f"{prefix}.error.message": error.message}
    return Outcome(RETRY if error.retryable else FAILURE, attributes)


def mime_type(kind: Kind, *, by_line: bool = False) -> str:
    """The MIME type of content of ``kind``, or of lines of it."""
    if by_line:
        return "text/plain" if kind is Kind.STR_DATA else "application/x-ndjson"
    return _MIME_TYPES[kind]
