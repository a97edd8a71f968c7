"""What a failed HTTP request, or a reply that is no success, means."""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpcore
import orjson

from penstock.proto.errors import DeadlineExceeded, RequestError, SetupError, Unavailable

from ._failures import AttemptFailed, rebuilt, split, untrusted

if TYPE_CHECKING:
    from ._address import Address
    from ._call import Call
    from ._http import Reply

_AS_GRPC: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    413: "RESOURCE_EXHAUSTED",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

# gRPC has one status for both; HTTP tells them apart.
_DEFAULT_CODES: Final = {413: "TOO_LARGE", 429: "OVERLOADED"}

_HIDDEN_STATUS: Final = re.compile(r"(4\d\d) [A-Z]")  # seldon-core: "404 Not Found: …", answered with 500
_LONGEST_PLAIN: Final = 500


def late(error: Exception, address: Address, call: Call) -> AttemptFailed:
    """The deadline passed on this side."""
    text = f"no answer from {address} within {call.deadline:g} s"
    return AttemptFailed(DeadlineExceeded(text), executed=not isinstance(error, httpcore.ConnectTimeout))


def broken(error: Exception, address: Address) -> AttemptFailed:
    """There was no connection, or it ended before the reply did."""
    if isinstance(error, httpcore.ConnectError):
        return _no_connection(error, address)
    if isinstance(error, httpcore.RemoteProtocolError) and "disconnected" not in str(error):
        text = f"{address} does not speak HTTP/1.1; if that is its gRPC port, write grpc://{address.target}"
        return AttemptFailed(SetupError(text, code="WRONG_PROTOCOL"))
    reason = str(error) or "the service closed it"
    return AttemptFailed(Unavailable(f"the connection to {address} broke during the call: {reason}"))


def _no_connection(error: Exception, address: Address) -> AttemptFailed:
    text = str(error)
    if isinstance(error.__cause__, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in text:
        return AttemptFailed(untrusted(address), executed=False)
    if isinstance(error.__cause__, ssl.SSLError):
        reason = "it does not take this kind of connection (https:// is for TLS, http:// for none)"
    else:
        reason = "connection refused" if "refused" in text else text.rpartition("] ")[2]
    message = f"cannot reach {address}: {reason}; is the service running there?"
    return AttemptFailed(Unavailable(message), executed=False)


def refusal(reply: Reply, address: Address) -> AttemptFailed:
    """The service answered, but not with a success."""
    if 300 <= reply.status < 400:
        return AttemptFailed(_redirect(reply, address))
    status, said = _said(reply)
    text = said or f"{address} answered {_phrase(status)}" + _hint(status)
    coded = split(text)[0] is not None
    if status in _DEFAULT_CODES and not coded:
        text = f"{_DEFAULT_CODES[status]}: {text}"
    error = rebuilt(_AS_GRPC.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL"), text)
    if isinstance(error, RequestError):
        error.http_status = status
    return AttemptFailed(
        error, retry_after=_retry_after(reply), executed=not (status == 429 or (coded and status == 503))
    )


def _said(reply: Reply) -> tuple[int, str]:
    """The status that is meant, and the text for a person; empty where there is none."""
    envelope = json_object(reply.content)
    status = envelope.get("status")
    if isinstance(status, dict):
        info = str(status.get("info") or status.get("reason") or "")
        if hidden := _HIDDEN_STATUS.match(info):
            return int(hidden[1]), info
        bad_data = reply.status >= 500 and status.get("reason") == "MICROSERVICE_BAD_DATA"
        return (400 if bad_data else reply.status), info
    for key in ("message", "detail", "error"):  # what other frameworks and proxies use
        if isinstance(envelope.get(key), str):
            return reply.status, envelope[key]
    if reply.headers.get(b"content-type", b"").startswith(b"text/plain"):
        return reply.status, reply.content[:_LONGEST_PLAIN].decode(errors="replace").strip()
    return reply.status, ""


def json_object(content: bytes) -> dict[str, Any]:
    """The JSON object that ``content`` is; empty where it is something else."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _redirect(reply: Reply, address: Address) -> RequestError:
    # Without its query, which may hold a secret.
    parts = urlsplit(reply.headers.get(b"location", b"").decode(errors="replace"))
    where = parts._replace(query="", fragment="", netloc=parts.netloc.rpartition("@")[2]).geturl()
    text = f"{address} sends elsewhere: {where or 'it does not say where'}; give that as the address"
    return RequestError(text, code="REDIRECTED", http_status=reply.status)


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _hint(status: int) -> str:
    return "; check the path of the address" if status in (404, 405) else ""


def _retry_after(reply: Reply) -> float:
    """Seconds of the ``Retry-After`` header, which holds a number or a date."""
    value = reply.headers.get(b"retry-after", b"").decode(errors="replace").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
