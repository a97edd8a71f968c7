"""What nipyapi and urllib3 raise, in our words. Nothing of a request is repeated, for it may hold a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import urllib3.exceptions as transport

from penstock.proto.errors import (
    DeadlineExceeded,
    PenstockError,
    RequestError,
    ServiceError,
    SetupError,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from penstock.deploy.canvas._login import Login

_LONGEST: Final = 600  # characters of NiFi's own words; a stack trace is no use to anybody here
_GRPC: Final = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "FAILED_PRECONDITION"}
_CODES: Final = {403: "NIFI_FORBIDDEN", 404: "NIFI_NOT_FOUND", 409: "NIFI_CONFLICT"}


def of_status(status: int, body: object, address: str, login: Login) -> PenstockError:
    """The error for an answer that is none."""
    said = _words(body)
    if status == 401:
        if login.is_anonymous:
            return Unauthenticated(
                f"NiFi at {address} wants a login: set PENSTOCK_NIFI_USER and PENSTOCK_NIFI_PASSWORD, "
                "PENSTOCK_NIFI_TOKEN, or PENSTOCK_NIFI_CERTIFICATE and PENSTOCK_NIFI_KEY"
            )
        return Unauthenticated(f"NiFi at {address} does not accept the login: {said or 'no reason given'}")
    if status == 403:
        said = f"the login has no right to do this: {said or 'no reason given'}"
    if 400 <= status < 500:
        return RequestError(
            f"NiFi at {address}: {said or f'status {status}'}",
            code=_CODES.get(status, "NIFI_REFUSED"),
            http_status=status,
            grpc_status=_GRPC.get(status, "INVALID_ARGUMENT"),
        )
    if status in (502, 503, 504):
        return Unavailable(f"NiFi at {address} is not ready: {said or f'status {status}'}")
    return ServiceError(f"NiFi at {address} failed: {said or f'status {status}'}; its log logs/nifi-app.log tells more")


def of_transport(error: Exception, address: str) -> PenstockError:
    """The error for a call that got no answer."""
    if isinstance(error, transport.MaxRetryError) and error.reason is not None:
        error = error.reason
    if isinstance(error, transport.NewConnectionError):  # before the time-outs, for it is one of them
        return Unavailable(f"no NiFi answers at {address}; `penstock nifi up` starts a local one")
    if isinstance(error, transport.ConnectTimeoutError):
        return Unavailable(f"NiFi at {address} does not answer: no connection in time")
    if isinstance(error, transport.TimeoutError):
        return DeadlineExceeded(f"NiFi at {address} took too long to answer")
    if isinstance(error, transport.SSLError):
        return of_tls(str(error), address)
    if isinstance(error, transport.ProxyError):
        return Unavailable(f"the proxy on the way to NiFi at {address} does not answer")
    return Unavailable(f"the connection to NiFi at {address} broke; was it stopped or restarted just now?")


def of_tls(reason: str, address: str) -> PenstockError:
    """The error for a connection that failed over its certificates."""
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        detail = reason.partition("CERTIFICATE_VERIFY_FAILED]")[2].partition(" (_ssl")[0].strip() or "not trusted"
        return SetupError(
            f"the certificate of NiFi at {address} is not accepted ({detail}); name its CA with a CA file"
        )
    if "WRONG_VERSION_NUMBER" in reason:
        return SetupError(f"NiFi at {address} does not speak https; write http://")
    if "ALERT" in reason.upper():
        return Unauthenticated(f"NiFi at {address} wants another client certificate, or one at all")
    return Unavailable(f"no TLS connection to NiFi at {address}")


def _words(body: Any) -> str:
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    if text.lstrip().startswith("<"):  # the error page of Jetty, or of a proxy
        return ""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
