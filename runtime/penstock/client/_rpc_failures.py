"""What a gRPC call that has failed means."""

from __future__ import annotations

import socket
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from penstock.http2.exchanges import Failure
from penstock.proto.errors import (
    DeadlineExceeded,
    LimitError,
    PenstockError,
    ServiceError,
    SetupError,
    Unavailable,
)
from penstock.proto.grpc_codes import GRPC_CODES

from ._failures import AttemptFailed, rebuilt, split, untrusted

if TYPE_CHECKING:
    from penstock.http2.exchanges import Failed

    from ._address import Address
    from ._call import Call

# What a gateway says in front of a gRPC service, from gRPC's ``http-grpc-status-mapping.md``.
_OF_GATEWAYS: Final = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    429: "UNAVAILABLE",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "UNAVAILABLE",
}
_OTHER_KIND: Final = "it does not take this kind of connection (grpcs:// is for TLS, grpc:// for none)"


def said(status: int, message: str, retry_after: float, address: Address, call: Call) -> AttemptFailed:
    """The service's own failure."""
    name = GRPC_CODES[status] if status < len(GRPC_CODES) else "UNKNOWN"
    if name == "DEADLINE_EXCEEDED" and split(message)[0] is None:  # it kept to the deadline that we have told it
        return AttemptFailed(_no_answer(address, call))
    # A Penstock service refuses before it does anything.
    unseen = name == "RESOURCE_EXHAUSTED" or (name == "UNAVAILABLE" and split(message)[0] is not None)
    return AttemptFailed(rebuilt(name, message), retry_after=retry_after, executed=not unseen)


def refused(http_status: int, address: Address, *, is_grpc: bool) -> AttemptFailed:
    """An answer without a status of gRPC's."""
    status = _OF_GATEWAYS.get(http_status)
    if status is not None:
        phrase = HTTPStatus(http_status).phrase
        return AttemptFailed(rebuilt(status, f"{address} answered {http_status} {phrase}"))
    if is_grpc:
        text = f"{address} ended its answer without saying whether that was all"
        return AttemptFailed(ServiceError(text, code="BAD_REPLY"))
    return AttemptFailed(_wrong_protocol(address))


def not_one_message(address: Address) -> AttemptFailed:
    """A success without exactly one plain message."""
    text = f"{address} answered with something else than one message without compression"
    return AttemptFailed(ServiceError(text, code="BAD_REPLY"))


def broken(failed: Failed, address: Address, call: Call) -> AttemptFailed:
    """There was no answer."""
    return AttemptFailed(_error(failed, address, call), executed=not failed.is_unseen)


def _error(failed: Failed, address: Address, call: Call) -> PenstockError:
    match failed.reason:
        case Failure.GIVEN_UP:
            return _no_answer(address, call)
        case Failure.TOO_LARGE:
            return LimitError(f"the reply of {address} is too large; raise max_message_bytes", code="MESSAGE_TOO_LARGE")
        case Failure.FOREIGN:
            return _wrong_protocol(address)
        case Failure.MALFORMED:
            return ServiceError(f"{address} answered with broken HTTP/2: {failed.text}", code="BAD_REPLY")
        case Failure.LOST if failed.is_unseen:
            return Unavailable(f"cannot reach {address}: {_OTHER_KIND}; is the service running there?")
        case Failure.RESET if call.is_over:
            return _no_answer(address, call)
        case Failure.RESET if failed.is_unseen:
            return Unavailable(f"{address} takes no more calls now ({failed.text})")
    return Unavailable(f"the connection to {address} broke during the call: {failed.text or 'no reason given'}")


def late(address: Address, call: Call) -> AttemptFailed:
    """The deadline passed before the call was sent."""
    return AttemptFailed(_no_answer(address, call), executed=False)


def no_connection(error: OSError, address: Address) -> AttemptFailed:
    """Nobody could be reached."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return AttemptFailed(untrusted(address), executed=False)
    if isinstance(error, socket.gaierror):
        text = f"cannot reach {address}: the host name {address.host!r} is not known; check the address"
        return AttemptFailed(Unavailable(text), executed=False)
    if isinstance(error, ssl.SSLError | ConnectionResetError):
        reason = _OTHER_KIND
    else:
        reason = "connection refused" if isinstance(error, ConnectionRefusedError) else error.strerror or str(error)
    return AttemptFailed(
        Unavailable(f"cannot reach {address}: {reason}; is the service running there?"), executed=False
    )


def unsteady(address: Address) -> AttemptFailed:
    """Connections were made, but none took a request."""
    text = f"cannot reach {address}: it ends each connection at once; is the service stopping?"
    return AttemptFailed(Unavailable(text), executed=False)


def no_http2(address: Address) -> AttemptFailed:
    """The other side has TLS, but another protocol in it."""
    return AttemptFailed(_wrong_protocol(address), executed=False)


def _no_answer(address: Address, call: Call) -> DeadlineExceeded:
    return DeadlineExceeded(f"no answer from {address} within {call.deadline:g} s")


def _wrong_protocol(address: Address) -> SetupError:
    scheme = "https" if address.is_secure else "http"
    return SetupError(
        f"{address} does not speak gRPC; if that is its REST port, write {scheme}://{address.target}",
        code="WRONG_PROTOCOL",
    )
