"""A failed attempt: the error for the caller, and what a retry has to know."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from penstock.proto import errors
from penstock.proto.errors import (
    ConversionError,
    DeadlineExceeded,
    LimitError,
    ModelFailure,
    ModelInputError,
    ModelLoadError,
    Overloaded,
    PayloadError,
    PenstockError,
    RequestError,
    ServiceError,
    SetupError,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from ._address import Address


class AttemptFailed(Exception):  # noqa: N818  (never leaves the package: the caller gets `error`)
    """One try of a call has failed.

    Attributes:
        error: what the caller will see.
        retry_after: seconds that the service asks to wait; 0 where it does not say.
        executed: whether the service may have acted on the request. Feedback is only repeated where it has not.
    """

    def __init__(self, error: PenstockError, *, retry_after: float = 0.0, executed: bool = True) -> None:
        super().__init__(error)
        self.error = error
        self.retry_after = retry_after
        self.executed = executed


def _tree(root: type[PenstockError]) -> list[type[PenstockError]]:
    return [root] + [each for child in root.__subclasses__() for each in _tree(child)]


# Each class has a code of its own; where an instance has another, the status decides. Those of a service in the same
# process are its own affair: they may be made in other ways, and whether there are any depends on what was imported.
_BY_CODE: Final = {cls.code: cls for cls in _tree(errors.PenstockError) if cls.__module__ == errors.__name__}

_BY_STATUS: Final[dict[str, type[PenstockError]]] = {
    "INVALID_ARGUMENT": PayloadError,
    "OUT_OF_RANGE": PayloadError,
    "UNAUTHENTICATED": Unauthenticated,
    "UNAVAILABLE": Unavailable,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "FAILED_PRECONDITION": ModelLoadError,
    "INTERNAL": ModelFailure,
    "UNKNOWN": ModelFailure,  # what grpcio, and so seldon-core, makes of any exception
}

_REQUEST_HTTP_STATUS: Final = {
    "NOT_FOUND": 404,
    "UNIMPLEMENTED": 404,
    "PERMISSION_DENIED": 403,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
}

# The codes that the codec gives to no other error than a ConversionError; a test compares them with its source.
_CONVERSION_CODES: Final = frozenset(
    {
        "AMBIGUOUS_TEXT",
        "EMPTY_SHAPE",
        "MIXED_ELEMENTS",
        "NOT_JSON",
        "NOT_NUMERIC",
        "NO_DIMENSION",
        "NUMBER_NOT_EXACT",
    }
)

_CODE_AND_TEXT: Final = re.compile(r"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*): (.+)", re.DOTALL)
_SERVER_PREFIX: Final = "Exception calling application: "  # put there by grpcio's server
_LONGEST_TEXT: Final = 2_000


def readable(text: str) -> str:
    """A foreign server's text as one may show it: no traceback, no page of text, one line."""
    text = text.removeprefix(_SERVER_PREFIX).partition("Traceback (most recent call last)")[0]
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + " …"


def split(text: str) -> tuple[str | None, str]:
    """``CODE: message`` of a Penstock service in its parts; no code where it is another's text."""
    said = _CODE_AND_TEXT.fullmatch(text)
    # One word in capitals may be anything ("RBAC: access denied"), unless it is one of ours.
    if said and ("_" in said[1] or said[1] in _BY_CODE or said[1] == "INTERNAL"):
        return said[1], said[2]
    return None, text


def rebuilt(status: str, text: str) -> PenstockError:
    """The error that a service has answered with.

    Args:
        status: name of a ``grpc.StatusCode``.
        text: ``CODE: message`` from a Penstock service, anything from another.
    """
    code, message = split(text)
    message = readable(message) or f"the service failed with {status} and did not say why"
    return _of_class(_class(status, code or "", message), status, message, code)


def _class(status: str, code: str, message: str) -> type[PenstockError]:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status == "RESOURCE_EXHAUSTED":
        # Every code of a LimitError says what there is too much of.
        return LimitError if "TOO_" in code or "larger than max" in message else Overloaded
    if status == "INVALID_ARGUMENT" and code.startswith("MODEL_"):
        return ModelInputError
    if status == "INVALID_ARGUMENT" and code in _CONVERSION_CODES:
        return ConversionError
    if status in _REQUEST_HTTP_STATUS:
        return RequestError
    return _BY_STATUS.get(status, ServiceError)


def _of_class(cls: type[PenstockError], status: str, message: str, code: str | None) -> PenstockError:
    if cls is RequestError:
        http_status = _REQUEST_HTTP_STATUS.get(status, 400)
        return RequestError(message, code=code, http_status=http_status, grpc_status=status)
    return cls(message, code=code)


def closed(address: Address) -> ServiceError:
    """The error of a call on a client that has been closed."""
    return ServiceError(f"the client of {address} is closed; make a new one", code="CLIENT_CLOSED")


def untrusted(address: Address) -> SetupError:
    """The error of a certificate that did not pass."""
    return SetupError(
        f"the certificate of {address} is not trusted, or is for another host name; "
        "give the file of its authority as ca_file, or turn verification off",
        code="CERTIFICATE",
    )
