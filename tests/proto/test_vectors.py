"""The conversion matrix: every line of vectors.json holds, in every form a payload takes."""

import json
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from penstock.proto import (
    Kind,
    Message,
    Payload,
    PayloadError,
    convert,
    decode,
    encode,
    read_json_message,
    read_message,
    write_json_message,
    write_message,
)

VECTORS = json.loads(files("penstock.proto").joinpath("vectors.json").read_text())
CELLS = [pytest.param(v, Kind(k), id=f"{v['name']}-{k}") for v in VECTORS for k in v["to"]]


def content(form: dict[str, str]) -> bytes:
    return bytes.fromhex(form["hex"]) if "hex" in form else form["content"].encode()


def source(vector: dict[str, Any]) -> Payload:
    return decode(vector["kind"], content(vector))


def same(left: Any, right: Any) -> bool:
    """Equal to the bit for arrays, with equal types for everything else."""
    if isinstance(left, np.ndarray):
        if left.dtype != right.dtype or left.shape != right.shape:
            return False
        if left.dtype == object:
            return same(left.tolist(), right.tolist())
        return bool(left.tobytes() == right.tobytes())
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


@pytest.mark.parametrize("vector", [v for v in VECTORS if "dtype" in v], ids=lambda v: v["name"])
def test_content_reads_as_the_array_it_is(vector: dict[str, Any]) -> None:
    array = source(vector).array
    assert (str(array.dtype), list(array.shape)) == (vector["dtype"], vector["shape"])


@pytest.mark.parametrize(("vector", "kind"), CELLS)
def test_cell(vector: dict[str, Any], kind: Kind) -> None:
    payload, expected = source(vector), vector["to"][kind]
    if "error" in expected:
        with pytest.raises(PayloadError, match=rf"^{payload.kind} to {kind}: ") as caught:
            convert(payload, kind)
        assert caught.value.code == expected["error"]
    else:
        assert encode(convert(payload, kind)) == content(expected)


@pytest.mark.parametrize(("vector", "kind"), CELLS)
def test_what_was_converted_reads_back(vector: dict[str, Any], kind: Kind) -> None:
    if "error" in vector["to"][kind]:
        pytest.skip("no such form")
    payload = convert(source(vector), kind)
    assert encode(decode(kind, encode(payload))) == encode(payload)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_json_message_keeps_the_value(vector: dict[str, Any]) -> None:
    payload = source(vector)
    try:
        body = write_json_message(Message(payload))
    except PayloadError as error:
        assert error.code == "BAD_TEXT"
        return
    assert same(read_json_message(body).payload.value, payload.value)  # type: ignore[union-attr]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_protobuf_message_keeps_the_value_but_for_integers_that_become_doubles(vector: dict[str, Any]) -> None:
    payload = source(vector)
    try:
        read = read_message(write_message(Message(payload))).payload
    except PayloadError as error:
        assert error.code == "NUMBER_NOT_EXACT"
        return
    assert read is not None
    assert read.kind is payload.kind
    assert same(_doubles(read), _doubles(payload))


def _doubles(payload: Payload) -> Any:
    value = payload.value
    if payload.kind in (Kind.NDARRAY, Kind.JSON_DATA):
        return _floats(value.tolist() if payload.kind is Kind.NDARRAY else value)
    return value


def _floats(value: Any) -> Any:
    if type(value) is int:
        return float(value)
    if isinstance(value, list):
        return [_floats(item) for item in value]
    if isinstance(value, dict):
        return {key: _floats(item) for key, item in value.items()}
    return value if value == value else "NaN"
