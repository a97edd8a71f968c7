"""Large JSON arrays of numbers: the quick way gives what the ordinary way gives, whatever the text."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.proto import DEFAULT_LIMITS, Limits, PayloadError, decode, numbertext, read_json_message
from penstock.proto.arrays import array_of
from penstock.proto.jsontext import loads
from penstock.proto.numbertext import loads_numbers

integers = st.integers(-(2**64), 2**64)
numbers = integers | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5)
anything = st.none() | st.booleans() | numbers | st.text(max_size=3)
ragged = st.recursive(anything, lambda inner: st.lists(inner, max_size=4), max_leaves=20)


@st.composite
def regular(draw: st.DrawFn, elements: st.SearchStrategy[Any] = numbers) -> Any:
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    flat = draw(st.lists(elements, min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    return np.array([*flat, None], object)[:-1].reshape(shape).tolist()


@pytest.fixture(autouse=True, scope="module", params=[8, 24, 200, numbertext._PIECE])
def _every_size(request: pytest.FixtureRequest) -> Any:
    before = numbertext._LARGE, numbertext._PIECE
    numbertext._LARGE, numbertext._PIECE = 0, request.param
    yield
    numbertext._LARGE, numbertext._PIECE = before


def texts_of(value: Any) -> list[bytes]:
    forms: list[dict[str, Any]] = [{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}]
    return [json.dumps(value, **form).encode() for form in forms]


@given(regular() | regular(integers) | ragged.filter(lambda value: isinstance(value, list)))
def test_an_array_is_the_same_either_way(value: Any) -> None:
    for text in texts_of(value):
        expected = array_of(loads(text), DEFAULT_LIMITS)
        found = array_of(loads_numbers(text), DEFAULT_LIMITS)
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert found.tobytes() == expected.tobytes() if found.dtype != object else found.tolist() == expected.tolist()


@given(regular() | ragged, st.sampled_from(["ndarray", "values", "jsonData", "other"]), st.text(max_size=5))
def test_the_rest_of_a_message_is_the_same_either_way(value: Any, place: str, name: str) -> None:
    message = {
        "ndarray": {"data": {"names": [name, "b"], "ndarray": value}, "meta": {"tags": {"a": [1, 2]}}},
        "values": {"data": {"tensor": {"shape": [1], "values": value}}},
        "jsonData": {"jsonData": {"data": {"ndarray": value}}},
        "other": {"strData": name, "list": value},
    }[place]
    for text in texts_of(message):
        assert _lists(loads_numbers(text)) == loads(text)


def _lists(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return value


@example(b"[0]\0")
@given(st.binary(max_size=60) | st.text('[]{},:"0123456789.-eE \\nul', max_size=60).map(str.encode))
def test_any_text_is_read_or_refused_alike(text: bytes) -> None:
    try:
        expected = loads(text)
    except PayloadError as error:
        with pytest.raises(PayloadError) as caught:
            loads_numbers(text)
        assert caught.value.message == error.message
        return
    assert _lists(loads_numbers(text)) == expected


def test_a_large_array_makes_no_python_numbers() -> None:
    array = np.random.default_rng(1).normal(size=(40, 30, 3))
    found = loads_numbers(json.dumps({"data": {"ndarray": array.tolist()}}).encode())["data"]["ndarray"]
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, array, strict=True)
    assert decode("ndarray", json.dumps(array.tolist()).encode()).array.tobytes() == array.tobytes()


@pytest.mark.parametrize("text", [b"[" * 300_000, b"[" * 100_000 + b"]" * 100_000, b"[," * 100_000, b"," * 300_000])
def test_hostile_brackets_take_no_time(text: bytes) -> None:
    with pytest.raises(PayloadError):
        read_json_message(b'{"data":{"ndarray":' + text + b"}}")


def test_limits_hold_before_the_numbers_are_read() -> None:
    body = b'{"data":{"ndarray":[[1,2,3],[4,5,6]]}}'
    for limits, code in ((Limits(elements=5), "TOO_MANY_ELEMENTS"), (Limits(dimensions=1), "TOO_MANY_DIMENSIONS")):
        with pytest.raises(PayloadError) as caught:
            read_json_message(body, limits)
        assert caught.value.code == code


@pytest.mark.parametrize("shape", [(5000,), (1, 40, 30, 3), (2, 30, 20, 3), (3000, 1), (1, 1, 2500)])
def test_whatever_is_cut_in_pieces_is_whole_again(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbertext, "loads", _only_the_rest)
    for array in (np.random.default_rng(1).normal(size=shape), np.arange(np.prod(shape)).reshape(shape)):
        for text in texts_of({"data": {"ndarray": array.tolist()}}):
            np.testing.assert_array_equal(loads_numbers(text)["data"]["ndarray"], array, strict=True)


def _only_the_rest(text: bytes, limits: Limits) -> Any:
    assert len(text) < 200, "the ordinary way"
    return loads(text, limits)
