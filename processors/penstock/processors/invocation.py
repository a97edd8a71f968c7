"""The content of a FlowFile to the model, and its answer as the content of the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from penstock.proto import DEFAULT_LIMITS, Kind, Limits, PenstockError, RequestError, convert, decode, encode

from .model_names import MODEL_LISTS, check_answered
from .names import read_names, write_names
from .outcomes import SUCCESS, Outcome, failed, mime_type
from .rows import read_rows, write_rows
from .settings import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.client import Prediction
    from penstock.proto import Payload

    from .connections import Lease
    from .settings import Formats

PROCESSOR: Final = "InvokeModel"
ROUTE_HEADER: Final = "seldon"  # what Seldon's gateways choose the service by


@dataclass(frozen=True, slots=True)
class Request:
    """What a FlowFile asks.

    Attributes:
        content: its bytes.
        model: the name of the service.
        names: of the features, as `read_names` reads them.
        puid: identifies the prediction; empty lets the service make one.
        trace: the headers of the W3C trace that it belongs to, ``traceparent`` and ``tracestate``; or none.
    """

    content: bytes
    model: str
    names: str | None = None
    puid: str | None = None
    trace: Mapping[str, str] = field(default_factory=dict)


class Invocation:
    """Calls one service as the properties say; for any number of threads."""

    def __init__(self, lease: Lease, formats: Formats) -> None:
        self._lease = lease
        self._formats = formats
        self._by_line = formats.rows is Rows.ONE_PER_LINE
        self._mime_type = mime_type(formats.written, by_line=self._by_line)
        size = lease.connection.max_message_bytes
        self._limits = Limits(message_bytes=size) if size != DEFAULT_LIMITS.message_bytes else DEFAULT_LIMITS

    @property
    def takes_names(self) -> bool:
        """Whether what is sent has columns, so that names for them are worth asking for."""
        return self._formats.input.is_array or (self._by_line and self._formats.input is Kind.STR_DATA)

    @property
    def most_bytes(self) -> int:
        """Of content; what is larger need not be read."""
        return self._limits.message_bytes

    def __call__(self, request: Request) -> Outcome:
        """Ask the model; whatever goes wrong is an outcome too."""
        try:
            return self._answered(request)
        except PenstockError as error:
            return failed(PROCESSOR, error)

    def _answered(self, request: Request) -> Outcome:
        if not request.model:
            raise RequestError("Model name is empty for this FlowFile", code="NO_MODEL")
        payload, lines = self._read(request)
        headers = {ROUTE_HEADER: request.model, **request.trace}
        prediction = self._lease.client.predict(payload, puid=request.puid or "", headers=headers)
        if prediction.model != request.model:
            check_answered(MODEL_LISTS, self._lease.connection, asked=request.model, answered=prediction.model)
        contents = self._written(prediction.payload, lines)
        return Outcome(SUCCESS, self._attributes(request, prediction), contents)

    def _read(self, request: Request) -> tuple[Payload, int]:
        kind = self._formats.input
        if self._by_line:
            payload, lines = read_rows(kind, bytes(request.content), self._limits)
        else:
            payload, lines = decode(kind, request.content, limits=self._limits), 0
        if request.names and payload.kind.is_array:
            payload = payload.renamed(read_names(request.names))
        return payload, lines

    def _written(self, answer: Payload, lines: int) -> bytes:
        kind = self._formats.written
        return write_rows(kind, answer, lines) if self._by_line else encode(convert(answer, kind))

    def _attributes(self, request: Request, prediction: Prediction) -> dict[str, str]:
        return {
            "invokemodel.puid": prediction.puid,
            "invokemodel.model": prediction.model or request.model,
            "invokemodel.version": prediction.version,
            "invokemodel.latency.ms": f"{prediction.elapsed * 1e3:.3f}",
            "invokemodel.names": write_names(prediction.names),
            "mime.type": self._mime_type,
        }
