"""What a failed gRPC call means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from penstock.proto.errors import (
    DeadlineExceeded,
    LimitError,
    PenstockError,
    ServiceError,
    SetupError,
    Unavailable,
)

from ._failures import AttemptFailed, rebuilt, split, untrusted

if TYPE_CHECKING:
    from ._address import Address
    from ._call import Call

# Texts of grpcio's core, which has one status, UNAVAILABLE, for all of these.
_NEVER_CONNECTED: Final = ("failed to connect to all addresses", "errors resolving", "DNS resolution failed")
_NO_SUCH_HOST: Final = ("errors resolving", "DNS resolution failed")
_NOT_GRPC: Final = ("Failed parsing HTTP/2", "Received http2 header with status", "Trying to connect an http1.x server")
_NOT_TRUSTED: Final = ("CERTIFICATE_VERIFY_FAILED", "Hostname Verification Check failed")


def failure(error: Any, address: Address, call: Call) -> AttemptFailed:
    """What the ``RpcError`` of a call to ``address`` means."""
    status, text = error.code().name, error.details() or ""
    known = _own(status, text, address, call)
    return AttemptFailed(
        known or rebuilt(status, text),
        retry_after=_pushback(error.trailing_metadata()),
        executed=not _surely_not_seen(status, text),
    )


def _surely_not_seen(status: str, text: str) -> bool:
    refused = status == "UNAVAILABLE" and split(text)[0] is not None
    return refused or status == "RESOURCE_EXHAUSTED" or text.startswith(_NEVER_CONNECTED)


def _own(status: str, text: str, address: Address, call: Call) -> PenstockError | None:
    """The error where it is grpcio on this side that failed the call; None where the service did."""
    if status == "DEADLINE_EXCEEDED" and text == "Deadline Exceeded":
        return DeadlineExceeded(f"no answer from {address} within {call.deadline:g} s")
    if status == "CANCELLED":
        return ServiceError(f"the call to {address} was cancelled: {text}", code="CLIENT_CLOSED")
    if "CLIENT: Received message larger than max" in text:
        return LimitError(f"the reply of {address} is too large; raise max_message_bytes", code="MESSAGE_TOO_LARGE")
    if any(part in text for part in _NOT_GRPC):
        return SetupError(
            f"{address} does not speak gRPC; if that is its REST port, write http://{address.target}",
            code="WRONG_PROTOCOL",
        )
    if status == "UNAVAILABLE":
        return _no_connection(text, address)
    return None


def _no_connection(text: str, address: Address) -> PenstockError | None:
    if any(part in text for part in _NOT_TRUSTED):
        return untrusted(address)
    if text.startswith(_NO_SUCH_HOST):
        return Unavailable(f"cannot reach {address}: the host name {address.host!r} is not known; check the address")
    if text.startswith(_NEVER_CONNECTED):
        return Unavailable(f"cannot reach {address}: {_reason(text)}; is the service running there?")
    if split(text)[0] is not None:
        return None  # the service itself said so
    return Unavailable(f"the connection to {address} broke during the call: {text or 'no reason given'}")


def _reason(text: str) -> str:
    if "WRONG_VERSION_NUMBER" in text or "Socket closed" in text:
        return "it does not take this kind of connection (grpcs:// is for TLS, grpc:// for none)"
    return "connection refused" if "refused" in text else text.rpartition(": ")[2]


def _pushback(metadata: Any) -> float:
    """Seconds that the service asks to wait, by gRPC's own trailer or HTTP's."""
    for key, value in metadata or ():
        if key in ("grpc-retry-pushback-ms", "retry-after"):
            try:
                return float(value) / (1000 if key.endswith("-ms") else 1)
            except ValueError:
                return 0.0
    return 0.0
