"""ExtractPrediction: a part of a model's answer, as JSON, CSV or attributes."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import StrEnum
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from penstock.proto import (
    ConversionError,
    Kind,
    LimitError,
    ModelFailure,
    Payload,
    PayloadError,
    PenstockError,
    convert,
    decode,
    read_json_message,
)
from penstock.proto.content import ndarray_to_json
from penstock.proto.jsontext import dumps, loads

from .names import read_names, write_names
from .outcomes import SUCCESS, Outcome, failed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.proto.payload import Array, Json

PROCESSOR: Final = "ExtractPrediction"
PREFIX: Final = "prediction."
_LARGEST_ATTRIBUTE: Final = 1 << 16  # characters; NiFi keeps the attributes of all queued FlowFiles in memory


class Part(StrEnum):
    """What to take of an answer."""

    VALUES = "values"
    FIRST_ROW = "first row"
    TOP_LABEL = "top label"
    NAMES = "names"


class Written(StrEnum):
    """How to write it."""

    JSON = "JSON"
    CSV = "CSV"
    ATTRIBUTES = "attributes"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under names; without names the columns are only counted."""

    rows: list[list[Json]]
    names: tuple[str, ...] = ()

    def objects(self) -> list[Json]:
        """A JSON object for each row, or a list where there are no names."""
        if not self.names:
            return [*self.rows]
        return [dict(zip(self.names, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class Extraction:
    """Takes parts out of answers as the properties say.

    Attributes:
        part: which.
        written: how it is written.
        kind: what the content is; None where it is a whole SeldonMessage as JSON.
    """

    part: Part = Part.VALUES
    written: Written = Written.JSON
    kind: Kind | None = Kind.NDARRAY

    def __call__(self, content: bytes, names: str | None = None, labels: str | None = None) -> Outcome:
        """The part of an answer; whatever goes wrong is an outcome too.

        Args:
            content: of the FlowFile.
            names: of the columns, where the content has none, as `read_names` reads them.
            labels: of the columns, for the top label; the names serve where there are none.
        """
        try:
            answer = self._answer(bytes(content))
            if not answer.names and names:
                answer = answer.renamed(read_names(names))
            return self._outcome(answer, read_names(labels))
        except PenstockError as error:
            return failed(PROCESSOR, error)

    def _answer(self, content: bytes) -> Payload:
        if self.kind is not None:
            return decode(self.kind, content)
        message = read_json_message(content)
        if message.status and message.status.failure:
            status = message.status
            raise ModelFailure(status.info or "the service says that it failed", code=status.reason or None)
        if message.payload is None:
            raise PayloadError("the message has no payload", code="NO_PAYLOAD")
        return message.payload

    def _outcome(self, answer: Payload, labels: tuple[str, ...]) -> Outcome:
        if self.part is Part.NAMES:
            return self._names(answer.names)
        if self.part is Part.VALUES and self.written is not Written.CSV:
            return self._values(answer)
        table = top_labels(answer, labels) if self.part is Part.TOP_LABEL else _table(answer)
        if self.part is Part.FIRST_ROW:
            table = Table(table.rows[:1], table.names)
        if self.written is Written.CSV:
            return _as_csv(table)
        rows = table.objects()
        if self.written is Written.JSON:
            single = self.part is Part.FIRST_ROW or len(rows) == 1
            return _as_json(rows[0] if single else rows)
        return _as_attributes(_cells(table))

    def _names(self, names: tuple[str, ...]) -> Outcome:
        if self.written is Written.JSON:
            return _as_json([*names])
        if self.written is Written.CSV:
            return _as_csv(Table([[*names]]))
        return _as_attributes({"names": write_names(names)})

    def _values(self, answer: Payload) -> Outcome:
        if not answer.names:
            value: Json = convert(answer, Kind.JSON_DATA).value if answer.kind is not Kind.STR_DATA else answer.value
            if answer.kind.is_array:
                value = ndarray_to_json(answer.array)
        else:
            value = _table(answer).objects()
        if self.written is Written.JSON:
            return _as_json(value)
        return _as_attributes({"values": dumps(value).decode()})


def extraction_of(values: Mapping[str, str | None]) -> Extraction:
    """What the properties say; unset ones are the defaults."""
    is_message = values.get("Content") == "Seldon message"
    return Extraction(
        part=Part(values.get("Part") or Part.VALUES),
        written=Written(values.get("Written as") or Written.JSON),
        kind=None if is_message else Kind(values.get("Input format") or Kind.NDARRAY),
    )


def top_labels(answer: Payload, labels: tuple[str, ...] = ()) -> Table:
    """For each row the label of its largest number, the number, and its column counted from 0.

    Raises:
        PayloadError: the answer is no table of numbers, has a single column, or not as many columns as labels.
    """
    array = _two_dimensional(answer)
    if array.dtype.kind not in "fiu":
        raise ConversionError("the top label is found among numbers, and the answer has others", code="NOT_NUMERIC")
    if array.shape[1] == 1:
        raise PayloadError("the answer has a single column, so there is nothing to choose from", code="ONE_COLUMN")
    if np.isnan(array).any():
        raise PayloadError("the answer has NaN among its numbers", code="NOT_NUMERIC")
    labels = labels or answer.names
    _check_width(labels, array, "labels")
    best = array.argmax(axis=1)
    rows: list[list[Json]] = [
        [labels[column] if labels else str(column), array[row, column].item(), int(column)]
        for row, column in enumerate(best)
    ]
    return Table(rows, ("label", "probability", "index"))


def _table(answer: Payload) -> Table:
    array = _two_dimensional(answer)
    _check_width(answer.names, array, "names")
    if len({*answer.names}) < len(answer.names):
        raise PayloadError("two columns of the answer have the same name", code="NAMES_DO_NOT_FIT")
    rows = loads(dumps(ndarray_to_json(array)))
    return Table([row if isinstance(row, list) else [row] for row in rows], answer.names)


def _two_dimensional(answer: Payload) -> Array:
    array = convert(answer, Kind.NDARRAY).array
    if array.size == 0:
        raise PayloadError("the answer has no row", code="NO_ROW")
    if array.ndim == 1 and not any(isinstance(item, list) for item in array):
        return array.reshape(1, -1)
    if array.ndim != 2:
        raise ConversionError(f"the answer has {array.ndim} dimensions; rows and columns are two", code="NOT_A_TABLE")
    return array


def _check_width(names: Sequence[str], array: Array, what: str) -> None:
    if names and len(names) != array.shape[1]:
        raise PayloadError(f"{len(names)} {what} for {array.shape[1]} columns", code=f"{what.upper()}_DO_NOT_FIT")


def _cells(table: Table) -> dict[str, str]:
    if len(table.rows) != 1:
        raise PayloadError(
            f"attributes hold one row, and the answer has {len(table.rows)}: write JSON or CSV, or split it",
            code="TOO_MANY_ROWS",
        )
    names = table.names or tuple(str(column) for column in range(len(table.rows[0])))
    return {name: _text(value) for name, value in zip(names, table.rows[0], strict=True)}


def _text(value: Json) -> str:
    return value if isinstance(value, str) else dumps(value).decode()


def _as_json(value: Json) -> Outcome:
    return Outcome(SUCCESS, {"mime.type": "application/json"}, dumps(value))


def _as_csv(table: Table) -> Outcome:
    text = StringIO()
    lines: Any = csv.writer(text, lineterminator="\n")
    if table.names:
        lines.writerow(table.names)
    lines.writerows([_text(value) for value in row] for row in table.rows)
    return Outcome(SUCCESS, {"mime.type": "text/csv"}, text.getvalue().encode())


def _as_attributes(values: dict[str, str]) -> Outcome:
    if sum(map(len, values.values())) > _LARGEST_ATTRIBUTE:
        raise LimitError("the answer is too large for attributes (64 Ki characters); write JSON or CSV")
    return Outcome(SUCCESS, {f"{PREFIX}{name}": value for name, value in values.items()})
