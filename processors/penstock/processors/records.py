"""Records to a model: some of their fields go in, the prediction comes back as one more field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from penstock.proto import (
    DEFAULT_LIMITS,
    Kind,
    Payload,
    PayloadError,
    PenstockError,
    RequestError,
    ServiceError,
    convert,
)
from penstock.proto.arrays import array_of

from .invocation import PROCESSOR, ROUTE_HEADER
from .model_names import MODEL_LISTS, check_answered
from .names import read_names
from .outcomes import ERROR_CODE, ERROR_MESSAGE, SUCCESS, failed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .connections import Lease

_MOST_ROWS: Final = 1_000  # of one call: less than a service lets wait

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RecordOutcome:
    """Where a record goes.

    Attributes:
        record: with the prediction, or as it came.
        relationship: success, failure or retry.
        attributes: code and message of an error, for the FlowFile that gathers the records of one outcome.
    """

    record: Record
    relationship: str = SUCCESS
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def error(self) -> str:
        """What went wrong, for a log; empty where nothing did."""
        return (
            f"{self.attributes[ERROR_CODE]}: {self.attributes[ERROR_MESSAGE]}" if ERROR_CODE in self.attributes else ""
        )


class RecordInvocation:
    """Calls one service for lists of records; for any number of threads.

    Args:
        lease: the service.
        features: the fields that go in: names, or paths such as ``/flower/petal``; none takes all, in their order.
        prediction: the field that comes back.
    """

    def __init__(self, lease: Lease, features: str | None, prediction: str) -> None:
        self._lease = lease
        self._features = read_names(features)
        self._prediction = prediction

    def __call__(
        self, records: Sequence[Record], model: str, *, puid: str = "", trace: Mapping[str, str] | None = None
    ) -> list[RecordOutcome]:
        """The outcomes of the records, in their order.

        Args:
            records: all of one FlowFile.
            model: the name of the service.
            puid: identifies the prediction for the FlowFile; empty lets the service make one.
            trace: the headers of the W3C trace that the FlowFile belongs to.
        """
        headers = {ROUTE_HEADER: model, **(trace or {})}
        outcomes: list[RecordOutcome] = []
        for start in range(0, len(records), _MOST_ROWS):
            outcomes += self._answered(records[start : start + _MOST_ROWS], puid, headers)
        return outcomes

    def _answered(self, records: Sequence[Record], puid: str, headers: Mapping[str, str]) -> list[RecordOutcome]:
        outcomes: dict[int, RecordOutcome] = {}
        rows: dict[int, list[Any]] = {}
        names = self._features or tuple(records[0])
        for number, record in enumerate(records):
            try:
                rows[number] = [_value(record, name) for name in names]
            except PenstockError as error:
                outcomes[number] = _failed(record, error)
        if rows:
            try:
                answers = self._ask(list(rows.values()), names, puid, headers)
                for number, answer in zip(rows, answers, strict=True):
                    outcomes[number] = RecordOutcome({**records[number], self._prediction: answer})
            except PenstockError as error:
                outcomes.update({number: _failed(records[number], error) for number in rows})
        return [outcomes[number] for number in range(len(records))]

    def _ask(self, rows: list[list[Any]], names: tuple[str, ...], puid: str, headers: Mapping[str, str]) -> list[Any]:
        model = headers[ROUTE_HEADER]
        if not model:
            raise RequestError("Model name is empty for this FlowFile", code="NO_MODEL")
        payload = Payload(Kind.NDARRAY, array_of(rows, DEFAULT_LIMITS), names)
        prediction = self._lease.client.predict(payload, puid=puid, headers=headers)
        if prediction.model != model:
            check_answered(MODEL_LISTS, self._lease.connection, asked=model, answered=prediction.model)
        answers = convert(prediction.payload, Kind.NDARRAY).array.tolist()
        if len(answers) != len(rows):
            raise ServiceError(f"the model answered {len(answers)} rows for {len(rows)} records", code="ROW_COUNT")
        return [_as_field(answer, prediction.names) for answer in answers]


def _value(record: Record, name: str) -> Any:
    value: Any = record
    for part in name.strip("/").split("/") if name.startswith("/") else (name,):
        if not isinstance(value, dict) or value.get(part) is None:
            raise PayloadError(f"the record has no value in the field {name!r:.80}", code="NO_FIELD")
        value = value[part]
    return value


def _as_field(answer: Any, names: tuple[str, ...]) -> Any:
    """One value as itself, several under their names, or as a list where they have none."""
    if not isinstance(answer, list):
        return answer
    if len(answer) == 1:
        return answer[0]
    return dict(zip(names, answer, strict=True)) if len(names) == len(answer) else answer


def _failed(record: Record, error: PenstockError) -> RecordOutcome:
    outcome = failed(PROCESSOR, error)
    return RecordOutcome(record, outcome.relationship, outcome.attributes)
