"""The error tree.

    PenstockError                        anything of ours; knows its code, HTTP status, gRPC status
    ├── PayloadError (ValueError)        what the caller sent cannot be read                400  INVALID_ARGUMENT
    │   ├── ConversionError              it can be read, but not as the kind asked for      400  INVALID_ARGUMENT
    │   └── LimitError                   it is larger or deeper than allowed                413  RESOURCE_EXHAUSTED
    ├── RequestError                     the request itself is wrong: no such route or name 4xx  by instance
    ├── ModelError                       the model refused the input or broke
    │   ├── ModelInputError              the input does not fit the model                   400  INVALID_ARGUMENT
    │   ├── ModelFailure                 the model raised; the detail is in the log only    500  INTERNAL
    │   └── ModelLoadError               the model cannot be loaded at all                  500  FAILED_PRECONDITION
    ├── ServiceError                     the service could not be asked, or could not answer
    │   ├── Unavailable                  not reachable, or stopping                         503  UNAVAILABLE
    │   ├── Overloaded                   its queue is full                                  429  RESOURCE_EXHAUSTED
    │   ├── DeadlineExceeded (TimeoutError)                                                 504  DEADLINE_EXCEEDED
    │   └── Unauthenticated              no token, or one that is refused                   401  UNAUTHENTICATED
    └── SetupError                       a setting, a file or a program of the user's machine is not right

Every error has a stable ``code`` (``TENSOR_SHAPE_MISMATCH``), a message that is never empty and always safe to
show to the caller, and says whether a retry can help.
"""

from __future__ import annotations

from typing import ClassVar


class PenstockError(Exception):
    """Root of every error of Penstock.

    Attributes:
        code: stable name of what went wrong, in capitals; the thing to match on.
        http_status: the status a REST door answers with.
        grpc_status: name of the ``grpc.StatusCode`` a gRPC door answers with.
        retryable: whether the same call can succeed later.
        seldon_reason: ``status.reason`` of Seldon's error envelope.
    """

    code: str = "PENSTOCK_ERROR"
    http_status: int = 500
    grpc_status: str = "INTERNAL"
    retryable: ClassVar[bool] = False
    seldon_reason: ClassVar[str] = "MICROSERVICE_INTERNAL_ERROR"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message or type(self).__name__)
        if code is not None:
            self.code = code

    @property
    def message(self) -> str:
        """The text to show to the caller."""
        return str(self.args[0])


class PayloadError(PenstockError, ValueError):
    """The bytes or values that the caller sent do not mean anything."""

    code = "BAD_PAYLOAD"
    http_status = 400
    grpc_status = "INVALID_ARGUMENT"
    seldon_reason = "MICROSERVICE_BAD_DATA"


class ConversionError(PayloadError):
    """The payload is fine, but its value has no exact form in the kind asked for."""

    code = "CANNOT_CONVERT"


class LimitError(PayloadError):
    """The payload is larger, wider or deeper than the limits allow."""

    code = "TOO_LARGE"
    http_status = 413
    grpc_status = "RESOURCE_EXHAUSTED"


class RequestError(PenstockError):
    """The request names a route, method or model that is not there, or cannot be used that way."""

    code = "BAD_REQUEST"
    http_status = 400
    grpc_status = "INVALID_ARGUMENT"
    seldon_reason = "MICROSERVICE_BAD_DATA"

    def __init__(
        self, message: str, *, code: str | None = None, http_status: int = 400, grpc_status: str = "INVALID_ARGUMENT"
    ) -> None:
        super().__init__(message, code=code)
        self.http_status = http_status
        self.grpc_status = grpc_status


class ModelError(PenstockError):
    """The model could not answer."""

    code = "MODEL_ERROR"


class ModelInputError(ModelError):
    """The payload is legal, but the model does not take it: wrong width, rank, dtype or name."""

    code = "MODEL_INPUT"
    http_status = 400
    grpc_status = "INVALID_ARGUMENT"
    seldon_reason = "MICROSERVICE_BAD_DATA"


class ModelFailure(ModelError):  # noqa: N818  (a failure of the model, not an error of the caller)
    """The model raised. The message is fixed and carries an error id; the cause is in the service's log."""

    code = "MODEL_FAILED"


class ModelLoadError(ModelError):
    """The model's files cannot be loaded."""

    code = "MODEL_LOAD"
    grpc_status = "FAILED_PRECONDITION"


class ServiceError(PenstockError):
    """The service could not be asked, or could not answer in time."""

    code = "SERVICE_ERROR"


class Unavailable(ServiceError):  # noqa: N818  (named after the gRPC status)
    """The service cannot be reached or is stopping."""

    code = "UNAVAILABLE"
    http_status = 503
    grpc_status = "UNAVAILABLE"
    retryable = True


class Overloaded(ServiceError):  # noqa: N818
    """The queue in front of the model is full."""

    code = "OVERLOADED"
    http_status = 429
    grpc_status = "RESOURCE_EXHAUSTED"
    retryable = True


class DeadlineExceeded(ServiceError, TimeoutError):  # noqa: N818  (named after the gRPC status)
    """No answer within the deadline."""

    code = "DEADLINE_EXCEEDED"
    http_status = 504
    grpc_status = "DEADLINE_EXCEEDED"
    retryable = True


class Unauthenticated(ServiceError):  # noqa: N818  (named after the gRPC status)
    """The call has no bearer token, or one that is refused."""

    code = "UNAUTHENTICATED"
    http_status = 401
    grpc_status = "UNAUTHENTICATED"


class SetupError(PenstockError):
    """A setting, a file or a program on this machine is not as it must be; the message says what to do."""

    code = "SETUP"
    grpc_status = "FAILED_PRECONDITION"
