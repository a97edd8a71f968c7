"""What a caller is told when a model raised: a fixed text and an error id; the cause is in the log, under that id."""

from __future__ import annotations

import logging
from uuid import uuid4

from penstock.proto import ModelError, ModelFailure, PenstockError, RequestError

_log = logging.getLogger(__name__)

_GRPC_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "RESOURCE_EXHAUSTED",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class ModelRefusal(ModelError):  # noqa: N818  (an answer that the model chose, not a failure)
    """The model refused with a status and a text of its own, as Seldon's ``SeldonMicroserviceException`` does."""

    code = "MODEL_REFUSED"

    def __init__(self, message: str, http_status: int, reason: str) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.grpc_status = _GRPC_STATUS.get(http_status, "INVALID_ARGUMENT" if http_status < 500 else "INTERNAL")
        self.seldon_reason = reason  # type: ignore[misc]  # each exception of a model brings its own


class BadMetric(ModelError):  # noqa: N818  (named after Seldon's reason)
    """The model returned a metric that is none."""

    code = "BAD_METRIC"
    seldon_reason = "MICROSERVICE_BAD_METRIC"


class BadMetadata(ModelError):  # noqa: N818  (named after Seldon's reason)
    """The model's ``init_metadata`` does not have the form of Seldon's model metadata."""

    code = "BAD_METADATA"
    seldon_reason = "MICROSERVICE_BAD_METADATA"


def told(error: BaseException) -> PenstockError:
    """The error to answer with.

    Ours are safe to show, and so is the text of an exception whose class has a ``status_code``: its author meant it
    for the caller. Anything else may hold paths or data: the caller gets an id, the log the rest.
    """
    if isinstance(error, PenstockError):
        return error
    if isinstance(getattr(type(error), "status_code", None), int):
        return _refusal(error)
    error_id = uuid4().hex[:12]
    _log.error("the model failed, error %s", error_id, exc_info=error)
    return ModelFailure(f"the model failed; the service's log tells why, under error id {error_id}")


def not_offered(method: str) -> RequestError:
    """The error for a method that the model does not have."""
    return RequestError(f"the model has no method {method}", code="NOT_OFFERED", grpc_status="UNIMPLEMENTED")


def _refusal(error: BaseException) -> ModelRefusal:
    status = getattr(error, "status_code", None)
    status = status if isinstance(status, int) and 400 <= status <= 599 else 500
    reason = getattr(error, "reason", None)
    text = getattr(error, "message", None)
    return ModelRefusal(
        text if isinstance(text, str) else str(error),
        status,
        reason if isinstance(reason, str) else "MICROSERVICE_BAD_DATA",
    )
