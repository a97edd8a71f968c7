"""Any content as a payload."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.processors.encapsulation import Content, Encapsulation, Envelope, encapsulation_of, read_numbers
from penstock.proto import Kind, PayloadError, decode, read_json_message

PNG = b"\x89PNG\r\n\x1a\n\x00\xff"


def test_an_image_as_the_only_element_of_an_ndarray() -> None:
    outcome = encapsulation_of({})(PNG)

    assert outcome.relationship == "success"
    assert outcome.contents == b'[["iVBORw0KGgoA/w=="]]'
    assert outcome.attributes == {"mime.type": "application/json"}


@pytest.mark.parametrize(
    ("kind", "content", "given", "made"),
    [
        (Kind.BIN_DATA, Content.BYTES, PNG, PNG),
        (Kind.STR_DATA, Content.BYTES, PNG, b"iVBORw0KGgoA/w=="),
        (Kind.JSON_DATA, Content.BYTES, PNG, b'"iVBORw0KGgoA/w=="'),
        (Kind.NDARRAY, Content.TEXT, b"two\nlines", b'[["two\\nlines"]]'),
        (Kind.STR_DATA, Content.TEXT, "café".encode(), "café".encode()),
        (Kind.JSON_DATA, Content.TEXT, b"[1]", b'"[1]"'),
        (Kind.NDARRAY, Content.JSON, b"[[1, 2], [3, 4]]", b"[[1,2],[3,4]]"),
        (Kind.TENSOR, Content.JSON, b" [[1, 2], [3, 4]]", b'{"shape":[2,2],"values":[1.0,2.0,3.0,4.0]}'),
        (Kind.TENSOR, Content.JSON, b'{"shape":[2],"values":[1,2]}', b'{"shape":[2],"values":[1.0,2.0]}'),
        (Kind.JSON_DATA, Content.JSON, b'{"b": 1, "a": [2]}', b'{"a":[2],"b":1}'),
        (Kind.STR_DATA, Content.JSON, b"[1, 2]", b"[1,2]"),
        (Kind.NDARRAY, Content.NUMBERS, b"5.1,3.5\n6.7,3\n", b"[[5.1,3.5],[6.7,3.0]]"),
        (Kind.NDARRAY, Content.NUMBERS, b"1;2\r\n3;4", b"[[1,2],[3,4]]"),
        (Kind.NDARRAY, Content.NUMBERS, b"  1  2\n\n3\t4 ".replace(b"\t", b" "), b"[[1,2],[3,4]]"),
        (Kind.TENSOR, Content.NUMBERS, b"1\t2", b'{"shape":[1,2],"values":[1.0,2.0]}'),
        (Kind.NDARRAY, Content.NUMBERS, b"\xef\xbb\xbf1, -2 ,+3", b"[[1,-2,3]]"),
        (Kind.NDARRAY, Content.NUMBERS, b"nan,inf,1e3", b'[["NaN","Infinity",1000.0]]'),
    ],
)
def test_what_becomes_of_content(kind: Kind, content: Content, given: bytes, made: bytes) -> None:
    assert Encapsulation(kind, content)(given).contents == made


@pytest.mark.parametrize(
    ("kind", "content", "given", "code"),
    [
        (Kind.TENSOR, Content.BYTES, PNG, "NOT_NUMERIC"),
        (Kind.STR_DATA, Content.TEXT, b"\xff", "BAD_TEXT"),
        (Kind.NDARRAY, Content.TEXT, b"NaN", "AMBIGUOUS_TEXT"),
        (Kind.NDARRAY, Content.JSON, b"{", "INVALID_JSON"),
        (Kind.NDARRAY, Content.JSON, b'{"a": 1}', "NOT_A_LIST"),
        (Kind.NDARRAY, Content.NUMBERS, b"1,2\n3", "RAGGED_ROWS"),
        (Kind.NDARRAY, Content.NUMBERS, b"1,x", "NOT_NUMBERS"),
        (Kind.NDARRAY, Content.NUMBERS, b"1,,2", "NOT_NUMBERS"),
        (Kind.NDARRAY, Content.NUMBERS, b"1_000", "NOT_NUMBERS"),
        (Kind.NDARRAY, Content.NUMBERS, b" \n", "NOT_NUMBERS"),
    ],
)
def test_what_is_refused(kind: Kind, content: Content, given: bytes, code: str) -> None:
    outcome = Encapsulation(kind, content)(given)

    assert outcome.relationship == "failure"
    assert outcome.contents is None
    assert outcome.attributes["encapsulatepayload.error.code"] == code
    assert outcome.attributes["encapsulatepayload.error.message"]


def test_that_the_message_names_the_line() -> None:
    with pytest.raises(PayloadError, match="line 4 has 1 numbers, the header line 2"):
        read_numbers(b"a,b\n\n1,2\n3", header=True)
    with pytest.raises(PayloadError, match="line 2: 'x' is no number"):
        read_numbers(b"1\nx")


@pytest.mark.parametrize(
    ("property_names", "header", "names"),
    [
        (None, b'sepal,"petal, long"\n', '["sepal","petal, long"]'),
        ("a, b", b"sepal,petal\n", "a,b"),
        ('["a","b"]', b"sepal petal\n", "a,b"),
    ],
)
def test_names_of_a_header_and_of_the_property(property_names: str | None, header: bytes, names: str) -> None:
    outcome = Encapsulation(content=Content.NUMBERS, header=True)(header + b"1 2\n", property_names)

    assert outcome.contents == b"[[1,2]]"
    assert outcome.attributes["featureNames"] == names


def test_that_kinds_without_columns_have_no_names() -> None:
    assert "featureNames" not in Encapsulation(Kind.STR_DATA, Content.TEXT)(b"hello", "a,b").attributes


def test_the_whole_message() -> None:
    outcome = Encapsulation(content=Content.NUMBERS, envelope=Envelope.MESSAGE)(b"1,2", "a,b", "p-1")

    assert outcome.contents == b'{"data":{"names":["a","b"],"ndarray":[[1,2]]},"meta":{"puid":"p-1"}}'
    assert outcome.attributes["mime.type"] == "application/json"


def test_the_message_of_bytes() -> None:
    assert (
        Encapsulation(Kind.BIN_DATA, envelope=Envelope.MESSAGE)(PNG).contents
        == b'{"binData":"iVBORw0KGgoA/w==","meta":{}}'
    )


def test_that_properties_are_read() -> None:
    values = {
        "Output format": "tensor", "Content": "numbers", "Header line": "yes", "Envelope": "Seldon message",
    }  # fmt: skip

    assert encapsulation_of(values) == Encapsulation(Kind.TENSOR, Content.NUMBERS, True, Envelope.MESSAGE)


@given(st.binary(min_size=1))
def test_that_any_bytes_come_back(content: bytes) -> None:
    outcome = Encapsulation()(content)

    if outcome.relationship == "success":
        [[text]] = json.loads(outcome.contents or b"")
        assert base64.b64decode(text, validate=True) == content
    else:  # base64 that spells a number word, such as 'Infinity', is refused rather than read as a number
        assert base64.b64encode(content) == b"Infinity"


NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)


@given(st.integers(1, 5).flatmap(lambda width: st.lists(st.lists(NUMBERS, min_size=width, max_size=width), min_size=1)))
def test_that_any_numbers_come_back(rows: list[list[float]]) -> None:
    content = "\n".join(",".join(map(repr, row)) for row in rows).encode()

    made = Encapsulation(content=Content.NUMBERS)(content).contents or b""

    read = decode("ndarray", made).array.tolist()
    assert all(
        math.isclose(a, b, rel_tol=0, abs_tol=0)
        for row, back in zip(rows, read, strict=True)
        for a, b in zip(row, back, strict=True)
    )


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_that_any_json_comes_back_in_an_envelope(value: Any) -> None:
    call = Encapsulation(Kind.JSON_DATA, Content.JSON, envelope=Envelope.MESSAGE)

    message = read_json_message(call(json.dumps(value).encode()).contents or b"")

    assert message.payload is not None
    assert message.payload.value == value
