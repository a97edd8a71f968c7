"""Parts of a model's answer."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.processors.extraction import Extraction, Part, Written, extraction_of
from penstock.processors.names import write_names
from penstock.proto import Kind

TWO = b"[[0.25,0.75],[0.5,0.125]]"
ONE = b"[[0.25,0.75]]"
TOP_THREE = b'[[386,"African elephant",0.75],[101,"tusker",0.125],[385,"Indian elephant",0.0625]]'


@pytest.mark.parametrize(
    ("part", "written", "answer", "names", "made"),
    [
        (Part.VALUES, Written.JSON, TWO, None, TWO),
        (Part.VALUES, Written.JSON, TWO, "a,b", b'[{"a":0.25,"b":0.75},{"a":0.5,"b":0.125}]'),
        (Part.VALUES, Written.JSON, b"[1,2]", None, b"[1,2]"),
        (Part.VALUES, Written.JSON, b"[1,2]", "a,b", b'[{"a":1,"b":2}]'),
        (Part.VALUES, Written.CSV, TWO, "a,b", b"a,b\n0.25,0.75\n0.5,0.125\n"),
        (Part.VALUES, Written.CSV, b'[["x, y",1,null,true]]', None, b'"x, y",1,null,true\n'),
        (Part.FIRST_ROW, Written.JSON, TOP_THREE, None, b'[386,"African elephant",0.75]'),
        (Part.FIRST_ROW, Written.JSON, TWO, "a,b", b'{"a":0.25,"b":0.75}'),
        (Part.FIRST_ROW, Written.CSV, TOP_THREE, "id,label,probability",
         b"id,label,probability\n386,African elephant,0.75\n"),
        (Part.TOP_LABEL, Written.JSON, ONE, "cat,dog", b'{"index":1,"label":"dog","probability":0.75}'),
        (Part.TOP_LABEL, Written.JSON, TWO, None,
         b'[{"index":1,"label":"1","probability":0.75},{"index":0,"label":"0","probability":0.5}]'),
        (Part.TOP_LABEL, Written.CSV, ONE, "cat,dog", b"label,probability,index\ndog,0.75,1\n"),
        (Part.NAMES, Written.JSON, ONE, "cat,dog", b'["cat","dog"]'),
        (Part.NAMES, Written.CSV, ONE, "cat,dog", b"cat,dog\n"),
    ],
)  # fmt: skip
def test_what_is_written(part: Part, written: Written, answer: bytes, names: str | None, made: bytes) -> None:
    outcome = Extraction(part, written)(answer, names)

    assert outcome.contents == made
    assert outcome.attributes == {"mime.type": "text/csv" if written is Written.CSV else "application/json"}


@pytest.mark.parametrize(
    ("part", "answer", "names", "attributes"),
    [
        (Part.TOP_LABEL, ONE, "cat,dog", {"label": "dog", "probability": "0.75", "index": "1"}),
        (Part.FIRST_ROW, TOP_THREE, None, {"0": "386", "1": "African elephant", "2": "0.75"}),
        (Part.FIRST_ROW, TWO, "a,b", {"a": "0.25", "b": "0.75"}),
        (Part.VALUES, TWO, None, {"values": TWO.decode()}),
        (Part.NAMES, ONE, "cat,dog", {"names": "cat,dog"}),
    ],
)
def test_attributes_leave_the_content(part: Part, answer: bytes, names: str | None, attributes: dict[str, str]) -> None:
    outcome = Extraction(part, Written.ATTRIBUTES)(answer, names)

    assert outcome.contents is None
    assert outcome.attributes == {f"prediction.{name}": value for name, value in attributes.items()}


def test_that_labels_come_before_names() -> None:
    outcome = Extraction(Part.TOP_LABEL)(ONE, "a,b", "setosa,virginica")

    assert json.loads(outcome.contents or b"")["label"] == "virginica"


def test_a_whole_message_with_its_own_names() -> None:
    answer = b'{"data":{"names":["cat","dog"],"tensor":{"shape":[1,2],"values":[0.75,0.25]}},"meta":{"puid":"p"}}'

    outcome = Extraction(Part.TOP_LABEL, kind=None)(answer, "other,names")

    assert json.loads(outcome.contents or b"") == {"label": "cat", "probability": 0.75, "index": 0}


def test_text_and_json_answers() -> None:
    assert Extraction(kind=Kind.STR_DATA)(b"a dog").contents == b'"a dog"'
    assert Extraction(kind=Kind.JSON_DATA)(b'{"is": "dog"}').contents == b'{"is":"dog"}'
    assert Extraction(Part.TOP_LABEL, kind=Kind.JSON_DATA)(ONE, "cat,dog").relationship == "success"


@pytest.mark.parametrize(
    ("call", "answer", "names", "labels", "code"),
    [
        (Extraction(), b"nonsense", None, None, "INVALID_JSON"),
        (Extraction(), b"[[1,2]]", "a", None, "NAMES_DO_NOT_FIT"),
        (Extraction(), b"[[1,2]]", "a,a", None, "NAMES_DO_NOT_FIT"),
        (Extraction(Part.TOP_LABEL), ONE, None, "only one", "LABELS_DO_NOT_FIT"),
        (Extraction(Part.TOP_LABEL), b'[["cat","dog"]]', None, None, "NOT_NUMERIC"),
        (Extraction(Part.TOP_LABEL), b'[["NaN",1.0]]', None, None, "NOT_NUMERIC"),
        (Extraction(Part.TOP_LABEL), b"[[1],[2]]", None, None, "ONE_COLUMN"),
        (Extraction(Part.TOP_LABEL), b"[[[1,2]]]", None, None, "NOT_A_TABLE"),
        (Extraction(Part.TOP_LABEL), b"[]", None, None, "NO_ROW"),
        (Extraction(Part.FIRST_ROW), b"[]", None, None, "NO_ROW"),
        (Extraction(Part.FIRST_ROW), b"[[1,2],[3]]", None, None, "NOT_A_TABLE"),
        (Extraction(Part.TOP_LABEL, Written.ATTRIBUTES), TWO, None, None, "TOO_MANY_ROWS"),
        (Extraction(Part.VALUES, Written.ATTRIBUTES), json.dumps([[0.5] * 20_000]).encode(), None, None, "TOO_LARGE"),
        (Extraction(kind=None), b'{"meta":{}}', None, None, "NO_PAYLOAD"),
        (Extraction(kind=None), b'{"status":{"status":"FAILURE","reason":"MICROSERVICE_BAD_DATA","info":"no"}}',
         None, None, "MICROSERVICE_BAD_DATA"),
    ],
)  # fmt: skip
def test_what_is_refused(call: Extraction, answer: bytes, names: str | None, labels: str | None, code: str) -> None:
    outcome = call(answer, names, labels)

    assert outcome.relationship == "failure"
    assert outcome.contents is None
    assert outcome.attributes["extractprediction.error.code"] == code
    assert outcome.attributes["extractprediction.error.message"]


def test_that_properties_are_read() -> None:
    values = {"Content": "payload", "Input format": "tensor", "Part": "top label", "Written as": "CSV"}

    assert extraction_of(values) == Extraction(Part.TOP_LABEL, Written.CSV, Kind.TENSOR)
    assert extraction_of({**values, "Content": "Seldon message"}).kind is None
    assert extraction_of({}) == Extraction()


NAMES = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=2, max_size=5, unique=True
)
CELLS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)


@given(
    NAMES.flatmap(lambda names: st.tuples(st.just(names), st.lists(CELLS, min_size=len(names), max_size=len(names))))
)
def test_that_what_is_written_can_be_read(table: tuple[list[str], list[float]]) -> None:
    names, row = table
    answer, text = json.dumps([row]).encode(), write_names(tuple(names))

    as_json = Extraction(Part.FIRST_ROW)(answer, text).contents or b""
    as_csv = (Extraction(Part.FIRST_ROW, Written.CSV)(answer, text).contents or b"").decode()

    assert json.loads(as_json) == dict(zip(names, row, strict=True))
    [header, cells] = csv.reader(io.StringIO(as_csv, newline=""))
    assert header == names
    assert [float(cell) for cell in cells] == row
