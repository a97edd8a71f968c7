"""The messages that almost everyone sends take a short way through JSON: it gives what the long way gives."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from penstock.proto import Kind, Limits, Message, Meta, Payload, PayloadError, read_json_message, write_json_message
from penstock.proto.inference import read_infer_json
from penstock.proto.jsonform import json_message, message_from_json
from penstock.proto.jsontext import dumps, loads
from penstock.proto.numbertext import loads_numbers

dtypes: st.SearchStrategy[np.dtype[Any]] = st.sampled_from([np.dtype(code) for code in ("<f8", ">f8", "f4", "i8", "?")])
arrays: st.SearchStrategy[Any] = st_numpy.arrays(dtypes, st_numpy.array_shapes(max_dims=3, max_side=4))
metas = st.builds(
    Meta,
    puid=st.text(max_size=5),
    request_path=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
    tags=st.dictionaries(st.text(max_size=3), st.floats() | st.none(), max_size=2),
)


@given(arrays, st.lists(st.text(max_size=4), max_size=3), st.sampled_from(["ndarray", "tensor"]), metas)
def test_an_answer_is_the_same_text_either_way(array: Any, names: list[str], kind: str, meta: Meta) -> None:
    if kind == "tensor":
        array = array.astype(np.float64)
    for value in (array, array.T, array[::-1]):
        message = Message(Payload(Kind(kind), value, tuple(names)), meta)
        assert write_json_message(message) == dumps(json_message(message))


@pytest.mark.parametrize(
    "form", ['"ndarray":[[1,2],[3,4]]', '"tensor":{"shape":[2,2],"values":[1,2,3,4]}', '"ndarray":[]']
)
def test_a_message_is_the_same_either_way(form: str) -> None:
    short = read_json_message(b'{"data":{%s}}' % form.encode())
    long = read_json_message(b'{"data":{%s,"names":null},"meta":{}}' % form.encode())
    assert short.payload is not None
    assert long.payload is not None
    assert (short.payload.kind, short.payload.names, short.meta) == (long.payload.kind, long.payload.names, long.meta)
    np.testing.assert_array_equal(short.payload.array, long.payload.array, strict=True)


@pytest.mark.parametrize(
    "text", ['{"data":{"ndarray":null}}', '{"data":{"other":[1]}}', '{"data":[1]}', '{"x":{}}', "[]"]
)
def test_what_is_wrong_is_told(text: str) -> None:
    with pytest.raises(PayloadError):
        read_json_message(text.encode())


def test_a_large_input_of_the_open_inference_protocol_makes_no_python_numbers() -> None:
    array = np.random.default_rng(1).normal(size=(40, 30)).astype(np.float32)
    entries: list[dict[str, Any]] = [
        {"name": "flag", "datatype": "INT64", "shape": [1], "data": [7]},
        {"name": "x", "datatype": "FP32", "shape": [40, 30], "data": array.astype(np.float64)},
    ]
    # Behind the numbers may be more of the tensor, or only the ends of what they are in.
    for text in (
        dumps({"inputs": entries}),
        json.dumps({"inputs": [entries[0], entries[1] | {"data": array.tolist()}]}),
    ):
        body = text if isinstance(text, bytes) else text.encode()
        assert isinstance(loads_numbers(body)["inputs"][1]["data"], np.ndarray)
        flag, x = read_infer_json(body, None, Limits()).inputs
        assert flag.array.tolist() == [7]
        np.testing.assert_array_equal(x.array, array, strict=True)


@given(st.binary(max_size=20), st.sampled_from(["", " ", "\n", '"', "\\n", "=", "é", "}", ',"meta":{}']), st.booleans())
def test_bytes_are_the_same_either_way(data: bytes, odd: str, inside: bool) -> None:
    from base64 import b64encode

    text = b64encode(data).decode()
    body = '{"binData": "%s"}%s' % ((text + odd, "") if inside else (text, odd))
    try:
        expected = message_from_json(loads(body.encode()))
    except PayloadError as error:
        with pytest.raises(PayloadError) as caught:
            read_json_message(body.encode())
        assert (caught.value.code, caught.value.message) == (error.code, error.message)
    else:
        found = read_json_message(body.encode())
        assert found.payload is not None
        assert expected.payload is not None
        assert (found.payload.kind, found.payload.value) == (Kind.BIN_DATA, expected.payload.value)


def binary_request(sizes: dict[str, int], raw: bytes, **parts: Any) -> tuple[bytes, int]:
    inputs = [
        {"name": name, "datatype": "FP32", "shape": [size // 4], "parameters": {"binary_data_size": size}}
        for name, size in sizes.items()
    ]
    head = json.dumps({"inputs": inputs, **parts}).encode()
    return head + raw, len(head)


def test_a_known_json_part_says_the_same_of_other_numbers() -> None:
    outputs = [{"name": "y", "parameters": {"binary_data": True}}]
    for numbers in ([1, 2, 3], [4, 5, 6], [7, 8, 9]):
        raw = np.array(numbers, "<f4").tobytes()
        body, size = binary_request({"a": 8, "b": 4}, raw, outputs=outputs, id="7")
        request = read_infer_json(body, size, Limits())
        assert [(tensor.name, tensor.array.tolist()) for tensor in request.inputs] == [
            ("a", numbers[:2]),
            ("b", numbers[2:]),
        ]
        assert not request.inputs[0].array.flags.writeable
        assert (request.id, request.outputs[0].name, request.outputs[0].binary) == ("7", "y", True)


def test_a_known_json_part_is_held_to_its_sizes_and_to_the_limits() -> None:
    body, size = binary_request({"a": 8}, bytes(8))
    for wrong in (body[:-1], body + b"x", body[:size]):
        read_infer_json(body, size, Limits())
        with pytest.raises(PayloadError, match="bytes"):
            read_infer_json(wrong, size, Limits())
    with pytest.raises(PayloadError) as caught:
        read_infer_json(body, size, Limits(elements=1))
    assert caught.value.code == "TOO_MANY_ELEMENTS"


def test_inputs_in_the_json_part_are_never_taken_from_behind_it() -> None:
    listed = {"name": "l", "datatype": "FP32", "shape": [1], "data": [5]}
    raw = {"name": "r", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}}
    head = json.dumps({"inputs": [listed, raw]}).encode()
    for number in (1.0, 2.0):
        inputs = read_infer_json(head + np.float32(number).tobytes(), len(head), Limits()).inputs
        assert [tensor.array.tolist() for tensor in inputs] == [[5.0], [number]]
