"""A record's value as one reading of a station."""

from __future__ import annotations

import csv
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from penstock.proto import PayloadError
from penstock.proto.jsontext import loads

if TYPE_CHECKING:
    from penstock.streams.pointers import Pointer

    from .spec import Fields

_LONGEST_NAME: Final = 200  # characters; a name is part of a key and of a metric


class Reading(NamedTuple):
    """One reading.

    Attributes:
        station: who measured.
        parameter: what was measured.
        time: as the record has it.
        moment: the time as a number, to tell what is older; seconds since 1970 where the record has a date.
        value: in the unit of the parameter.
    """

    station: str
    parameter: str
    time: str | float
    moment: float
    value: float

    @property
    def series(self) -> str:
        """The name of its series: ``station/parameter``."""
        return f"{_quoted(self.station)}/{_quoted(self.parameter)}"


def reading_of(fields: Fields, value: bytes) -> Reading:
    """Read one record.

    Raises:
        PayloadError: ``INVALID_JSON``, ``INVALID_CSV``, ``MISSING_FIELD`` or ``BAD_READING``.
    """
    document = _line(fields.columns, value) if fields.columns else loads(value)
    time = fields.time.get(document)
    return Reading(
        _name(document, fields.station),
        _name(document, fields.parameter),
        time,
        _moment(time, fields.time),
        _number(fields.value.get(document), fields.value),
    )


def _line(columns: tuple[str, ...], value: bytes) -> dict[str, str | float]:
    try:
        rows = list(csv.reader(value.decode("utf-8-sig").splitlines(), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise PayloadError(f"the record is no line of CSV: {error}", code="INVALID_CSV") from None
    if len(rows) != 1 or len(rows[0]) != len(columns):
        came = f"{sum(map(len, rows))} in {len(rows)} lines"
        raise PayloadError(f"a record is one line of {len(columns)} columns, not {came}", code="INVALID_CSV")
    return {column: _number_if_it_is(cell.strip()) for column, cell in zip(columns, rows[0], strict=True)}


def _number_if_it_is(cell: str) -> str | float:
    for number in (int, float):
        try:
            return number(cell)
        except ValueError:
            continue
    return cell


def _name(document: Any, pointer: Pointer) -> str:
    name = pointer.get(document)
    if type(name) not in (str, int) or not 0 < len(str(name)) <= _LONGEST_NAME:
        raise PayloadError(f"{pointer} is a text or a whole number, not {name!r:.60}", code="BAD_READING")
    return str(name)


def _number(value: Any, pointer: Pointer) -> float:
    if type(value) not in (int, float) or not _is_finite(value):
        raise PayloadError(f"{pointer} is a finite number, not {value!r:.60}", code="BAD_READING")
    return float(value)


def _is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # a whole number beyond the range of floats
        return False


def _moment(time: Any, pointer: Pointer) -> float:
    if type(time) in (int, float) and _is_finite(time):
        return time  # type: ignore[no-any-return]  # not as float: nanoseconds since 1970 have 61 bits
    try:
        return datetime.fromisoformat(time).timestamp()
    except (TypeError, ValueError, OverflowError):
        what = "a number, or a date and time such as 2017-04-18T00:07:29+00:00"
        raise PayloadError(f"{pointer} is {what}, not {time!r:.60}", code="BAD_READING") from None


def _quoted(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F")
