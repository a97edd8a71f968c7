"""Records as readings: JSON and CSV, and what is wrong with the bad ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penstock.proto import PayloadError, SetupError
from penstock.streams.forecast.history import history
from penstock.streams.forecast.readings import Reading, reading_of
from penstock.streams.forecast.spec import Fields
from penstock.streams.pointers import Pointer

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("station_id", "parameter_id", "reading_time", "value")


def fields_of(names: tuple[str, str, str, str], columns: tuple[str, ...] = ()) -> Fields:
    station, parameter, time, value = map(Pointer.parse, names)
    return Fields(station, parameter, time, value, columns)


JSON = fields_of(NAMES)
CSV = fields_of(NAMES, (*NAMES, "note"))
NESTED = fields_of(("/at/0", "what", "/at/1", "/measured/v"))


@pytest.mark.parametrize(
    ("fields", "value", "reading"),
    [
        (
            JSON,
            b'{"station_id": 1161114002, "parameter_id": "122", "reading_time": 1492474049000000001, "value": 8}',
            Reading("1161114002", "122", 1492474049000000001, 1492474049000000001, 8.0),
        ),
        (
            JSON,
            b'{"station_id": "a", "parameter_id": 1, "reading_time": "2017-04-18T00:07:29+00:00", "value": -0.5}',
            Reading("a", "1", "2017-04-18T00:07:29+00:00", 1492474049.0, -0.5),
        ),
        (NESTED, b'{"at": ["a", 3.5], "what": "load", "measured": {"v": 1}}', Reading("a", "load", 3.5, 3.5, 1.0)),
        (CSV, b"1161114002,122,1492474049,8.0,\r\n", Reading("1161114002", "122", 1492474049, 1492474049, 8.0)),
        (CSV, '"a, b",ü, 2017-04-18 00:07:29Z ,1e3,x'.encode(),
         Reading("a, b", "ü", "2017-04-18 00:07:29Z", 1492474049.0, 1000.0)),
    ],
)  # fmt: skip
def test_readings_are_read(fields: Fields, value: bytes, reading: Reading) -> None:
    assert reading_of(fields, value) == reading


def test_a_series_has_one_name_whatever_its_parts_hold() -> None:
    assert Reading("1161114002", "122", 0, 0, 0).series == "1161114002/122"
    assert Reading("a/b", "c", 0, 0, 0).series != Reading("a", "b/c", 0, 0, 0).series
    assert Reading("a%2Fb", "c", 0, 0, 0).series != Reading("a/b", "c", 0, 0, 0).series


GOOD = {"station_id": '"a"', "parameter_id": '"b"', "reading_time": "1", "value": "2"}


def record(**changes: str) -> bytes:
    return (
        "{" + ", ".join(f'"{name}": {value}' for name, value in {**GOOD, **changes}.items() if value) + "}"
    ).encode()


@pytest.mark.parametrize(
    ("fields", "value", "code", "told"),
    [
        (JSON, b"{", "INVALID_JSON", "not JSON"),
        (JSON, b"[1]", "MISSING_FIELD", "no /station_id|no /reading_time"),
        (JSON, record(value=""), "MISSING_FIELD", "no /value"),
        (JSON, record(value='"8"'), "BAD_READING", "/value is a finite number, not '8'"),
        (JSON, record(value="true"), "BAD_READING", "/value is a finite number, not True"),
        (JSON, record(value="null"), "BAD_READING", "/value is a finite number, not None"),
        (JSON, record(station_id="null"), "BAD_READING", "/station_id is a text or a whole number, not None"),
        (JSON, record(station_id="1.5"), "BAD_READING", "/station_id is a text or a whole number"),
        (JSON, record(station_id='""'), "BAD_READING", "/station_id is a text"),
        (JSON, record(parameter_id=f'"{"x" * 201}"'), "BAD_READING", "/parameter_id is a text"),
        (JSON, record(reading_time='"yesterday"'), "BAD_READING", "/reading_time is a number, or a date .*'yesterday'"),
        (JSON, record(reading_time="[1]"), "BAD_READING", "/reading_time is a number"),
        (CSV, b"a,b,1,nan,", "BAD_READING", "/value is a finite number, not nan"),
        (CSV, b"a,b,1,2", "INVALID_CSV", "one line of 5 columns, not 4 in 1 lines"),
        (CSV, b"a,b,1,2,\na,b,2,3,", "INVALID_CSV", "not 10 in 2 lines"),
        (CSV, b"", "INVALID_CSV", "not 0 in 0 lines"),
        (CSV, b'a,"b', "INVALID_CSV", "no line of CSV"),
        (CSV, b"\xff", "INVALID_CSV", "no line of CSV"),
    ],
)
def test_what_is_wrong_is_told(fields: Fields, value: bytes, code: str, told: str) -> None:
    with pytest.raises(PayloadError, match=told) as error:
        reading_of(fields, value)
    assert error.value.code == code


NAMED = dict(zip(("station", "parameter", "time", "value"), NAMES, strict=True))


def test_a_file_of_the_past_is_read_by_its_header(tmp_path: Path) -> None:
    file = tmp_path / "past.csv"
    file.write_text("\ufeffvalue,id,station_id,parameter_id,reading_time\n8.0,1,a,b,1\n9.0,2,a,b,2\n", "utf-8")
    assert history(file, NAMED) == [Reading("a", "b", 1, 1, 8.0), Reading("a", "b", 2, 2, 9.0)]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "no column 'station_id' for the station; it has none"),
        ("station_id,value\n", "no column 'parameter_id' for the parameter; it has station_id, value"),
        ("station_id,parameter_id,reading_time,value\na,b,1,2\na,b,2,?\n", "line 3: /value is a finite number"),
    ],
)
def test_what_is_wrong_with_a_file_of_the_past_is_told(content: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "past.csv"
    file.write_text(content)
    with pytest.raises(SetupError, match=told):
        history(file, NAMED)
    with pytest.raises(SetupError, match="cannot be read"):
        history(tmp_path / "none.csv", NAMED)
