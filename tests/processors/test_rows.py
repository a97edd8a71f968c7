"""Rows by line: every line is a row, no line borrows from its neighbour, and a bad one is named."""

from __future__ import annotations

import numpy as np
import pytest

from penstock.processors.rows import read_rows, write_rows
from penstock.proto import (
    DEFAULT_LIMITS,
    ConversionError,
    Kind,
    LimitError,
    Limits,
    Payload,
    PayloadError,
    ServiceError,
)


def rows(kind: Kind, text: str) -> tuple[Payload, int]:
    return read_rows(kind, text.encode(), DEFAULT_LIMITS)


@pytest.mark.parametrize(
    "text",
    ["[1,2]\n[3,4]\n", "[1,2]\n[3,4]", "[1,2]\r\n[3,4]\r\n", " [1, 2]\n[3,4] ", "[[1],[2]]\n[[3],[4]]\n"],
)
def test_lists(text: str) -> None:
    payload, count = rows(Kind.NDARRAY, text)
    assert count == 2
    assert payload.array.reshape(2, 2).tolist() == [[1, 2], [3, 4]]


def test_text_and_numbers_in_a_row_stay_what_they_are() -> None:
    payload, _ = rows(Kind.NDARRAY, '["a]",1]\n["[b",2.5]\n')
    assert payload.array.tolist() == [["a]", 1], ["[b", 2.5]]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("[1,2]\n[3,4\n[5,6]", 2),
        ("[1,2],[3,4]\n[5\n6]", 1),  # as many lists as lines, but not one on each
        ("[1],[2]\n[[3]\n[4]]", 1),
        ("[1,2]\n\n[3,4]", 2),
        ("[1,2]\nyes\n", 2),
        ("", 1),
    ],
)
def test_the_bad_line_is_named(text: str, number: int) -> None:
    with pytest.raises(PayloadError, match=f"line {number}: "):
        rows(Kind.NDARRAY, text)


def test_json_values_become_one_list() -> None:
    payload, count = rows(Kind.JSON_DATA, '{"a":1}\n[2]\nnull\n')
    assert (payload.kind, payload.value, count) == (Kind.JSON_DATA, [{"a": 1}, [2], None], 3)


def test_texts_become_a_column() -> None:
    payload, count = rows(Kind.STR_DATA, "good\n\ncafé\r\n")
    assert (payload.kind, payload.array.tolist(), count) == (Kind.NDARRAY, [["good"], [""], ["café"]], 3)


def test_tensors_of_a_row_and_of_one_row_are_stacked() -> None:
    payload, count = rows(Kind.TENSOR, '{"shape":[2],"values":[1,2]}\n{"shape":[1,2],"values":[3,4]}')
    assert (payload.kind, payload.array.tolist(), count) == (Kind.TENSOR, [[1, 2], [3, 4]], 2)


def test_tensors_of_unequal_shape_are_refused() -> None:
    with pytest.raises(PayloadError, match="line 2: a tensor"):
        rows(Kind.TENSOR, '{"shape":[2],"values":[1,2]}\n{"shape":[3],"values":[3,4,5]}')


def test_tftensors_keep_their_type() -> None:
    line = '{"dtype":"DT_FLOAT","tensorShape":{"dim":[{"size":"2"}]},"floatVal":[1.5,2.5]}'
    payload, _ = rows(Kind.TFTENSOR, f"{line}\n{line}\n")
    assert payload.array.dtype == np.float32
    assert payload.array.shape == (2, 2)


def test_limits_hold() -> None:
    with pytest.raises(LimitError):
        read_rows(Kind.NDARRAY, b"[1,2]\n" * 100, Limits(message_bytes=100))
    with pytest.raises(LimitError):
        read_rows(Kind.NDARRAY, b"[1,2]\n" * 100, Limits(elements=100))


@pytest.mark.parametrize("kind", [Kind.NDARRAY, Kind.JSON_DATA, Kind.STR_DATA])
def test_a_table_becomes_lines(kind: Kind) -> None:
    table = Payload(Kind.NDARRAY, np.array([[1.5, 2.0], [3.0, float("nan")]]))
    assert write_rows(kind, table, 2) == b'[1.5,2.0]\n[3.0,"NaN"]\n'


def test_text_beside_numbers_becomes_lines() -> None:
    table = Payload(Kind.NDARRAY, np.array([["a],[b", 1.0], ["c", 2.0]], dtype=object))
    assert write_rows(Kind.NDARRAY, table, 2) == b'["a],[b",1.0]\n["c",2.0]\n'


def test_rows_of_other_kinds() -> None:
    table = Payload(Kind.NDARRAY, np.array([[1.0, 2.0]]))
    assert write_rows(Kind.TENSOR, table, 1) == b'{"shape":[2],"values":[1.0,2.0]}\n'
    assert write_rows(Kind.TFTENSOR, table, 1).startswith(b'{"dtype":"DT_DOUBLE"')
    answer = Payload(Kind.JSON_DATA, {"output": [[1], [2]]})
    assert write_rows(Kind.JSON_DATA, answer, 2) == b"[1]\n[2]\n"
    assert write_rows(Kind.STR_DATA, Payload(Kind.NDARRAY, np.array([["ja"], ["no"]], dtype=object)), 2) == b"ja\nno\n"


@pytest.mark.parametrize(
    "answer",
    [
        Payload(Kind.NDARRAY, np.zeros((3, 1))),
        Payload(Kind.TENSOR, np.array(1.0)),
        Payload(Kind.JSON_DATA, {"a": [1], "b": [2]}),
        Payload(Kind.STR_DATA, "5"),
    ],
)
def test_an_answer_of_another_number_of_rows_is_an_error(answer: Payload) -> None:
    with pytest.raises(ServiceError) as caught:
        write_rows(Kind.NDARRAY, answer, 2)
    assert caught.value.code == "ROW_COUNT"


def test_a_text_of_two_lines_is_no_line() -> None:
    with pytest.raises(ConversionError, match="several lines"):
        write_rows(Kind.STR_DATA, Payload(Kind.NDARRAY, np.array([["a\nb"]], dtype=object)), 1)
