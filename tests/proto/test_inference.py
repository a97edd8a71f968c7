"""Open Inference tensors: each datatype over each wire form, and what is refused."""

from __future__ import annotations

import contextlib
import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.proto import ConversionError, LimitError, Limits, PayloadError
from penstock.proto import open_inference_pb2 as pb
from penstock.proto.inference import (
    BYTES,
    InferRequest,
    RequestedOutput,
    Tensor,
    dtypes,
    read_infer_json,
    read_infer_request,
    write_infer_json,
    write_infer_response,
)
from penstock.proto.inference.datatypes import pack

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = Limits()
CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}


def sample(datatype: str) -> np.ndarray:
    dtype = dtypes()[datatype]
    if datatype == BYTES:
        array = np.empty((2, 2), object)
        array[:] = [[b"", b"a\x00"], ["é".encode(), b"longer text"]]
        return array
    if datatype == "BOOL":
        return np.array([[True, False], [False, True]])
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        return np.array([[bounds.min, bounds.max], [0, 1]], dtype)
    return np.array([[0.5, -1.25], [3.0, 0.0]], dtype)


def raw_of(array: np.ndarray) -> bytes:
    if array.dtype == object:
        return b"".join(struct.pack("<I", len(item)) + item for item in array.reshape(-1))
    return array.tobytes()


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tolist() == other.tolist()


def rpc_request(array: np.ndarray, datatype: str, *, padding: int = 0) -> bytes:
    request = pb.ModelInferRequest(model_name="m", id="7")
    request.inputs.add(name="x", datatype=datatype, shape=array.shape)
    request.parameters["note"].string_param = "n" * padding
    request.raw_input_contents.append(raw_of(array))
    return request.SerializeToString()


@pytest.mark.parametrize("datatype", dtypes())
@pytest.mark.parametrize("padding", [0, 100_000], ids=["small", "large"])
def test_raw_contents(datatype: str, padding: int) -> None:
    array = sample(datatype)
    request = read_infer_request(rpc_request(array, datatype, padding=padding), LIMITS)
    assert same(request.inputs[0].array, array)
    assert (request.model_name, request.id, len(request.parameters["note"])) == ("m", "7", padding)


def test_large_raw_contents_are_a_view_of_what_was_received() -> None:
    array = np.arange(100_000, dtype=np.float32)
    data = rpc_request(array, "FP32")
    read = read_infer_request(data, LIMITS).inputs[0].array
    assert not read.flags.writeable
    assert np.shares_memory(read, np.frombuffer(data, np.uint8))


@pytest.mark.parametrize("datatype", CONTENTS)
def test_typed_contents(datatype: str) -> None:
    array = sample(datatype)
    request = pb.ModelInferRequest()
    tensor = request.inputs.add(name="x", datatype=datatype, shape=array.shape)
    getattr(tensor.contents, CONTENTS[datatype]).extend(array.reshape(-1).tolist())
    assert same(read_infer_request(request.SerializeToString(), LIMITS).inputs[0].array, array)


@pytest.mark.parametrize("datatype", dtypes())
def test_answer_over_grpc_is_raw(datatype: str) -> None:
    array = sample(datatype)
    data = write_infer_response([Tensor("y", array)], model_name="m", model_version="3", request_id="7")
    response = pb.ModelInferResponse.FromString(data)
    assert (response.model_name, response.model_version, response.id) == ("m", "3", "7")
    assert (response.outputs[0].datatype, list(response.outputs[0].shape)) == (datatype, [2, 2])
    assert response.raw_output_contents[0] == raw_of(array)


@pytest.mark.parametrize("datatype", dtypes())
@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
def test_json_data(datatype: str, nested: bool) -> None:
    array = sample(datatype)
    if datatype == BYTES:
        data = [[item.decode() for item in row] for row in array]
    elif array.dtype.kind in "biu":
        data = array.tolist()
    else:
        data = array.astype(float).tolist()
    if not nested:
        data = [item for row in data for item in row]
    entry = {"name": "x", "datatype": datatype, "shape": [2, 2], "data": data}
    read = read_infer_json(json.dumps({"inputs": [entry]}).encode(), None, LIMITS)
    assert same(read.inputs[0].array, array)

    body, json_size = write_infer_json([Tensor("x", array)], InferRequest((), id="7"), model_name="m", model_version="")
    assert json_size is None
    answer = json.loads(body)
    assert answer["id"] == "7"
    again = read_infer_json(json.dumps({"inputs": answer["outputs"]}).encode(), None, LIMITS)
    assert same(again.inputs[0].array, array)


@pytest.mark.parametrize("datatype", dtypes())
def test_binary_data_both_ways(datatype: str) -> None:
    array = sample(datatype)
    asked = InferRequest((), outputs=(RequestedOutput("y", binary=True), RequestedOutput("z")))
    body, json_size = write_infer_json(
        [Tensor("y", array), Tensor("z", np.arange(3))], asked, model_name="m", model_version=""
    )
    assert json_size is not None
    answer = json.loads(body[:json_size])
    assert body[json_size:] == raw_of(array)
    assert answer["outputs"][1]["data"] == [0, 1, 2]
    head = json.dumps({"inputs": answer["outputs"]}).encode()
    again = read_infer_json(head + body[json_size:], len(head), LIMITS)
    assert same(again.inputs[0].array, array)


@pytest.mark.parametrize("asked", [InferRequest((), binary_output=True), InferRequest((), id="7", binary_output=True)])
def test_a_binary_answer_says_the_same_each_time(asked: InferRequest) -> None:
    of = {"model_name": "m", "model_version": "1"}
    kinds: list[Any] = [
        np.zeros((2, 2), "<f4"),
        np.zeros((2, 2), ">f4"),
        np.ones((4, 1), "<f4"),
        np.zeros((2, 2), "<i8"),
    ]
    texts: list[Any] = [np.array(["a", "bc"], object), np.array(["abc", ""], object)]
    for array in kinds + texts:
        first, again = (write_infer_json([Tensor("y", array)], asked, **of) for _ in range(2))
        assert first == again
        body, size = first
        assert size is not None
        said = json.loads(body[:size])
        (output,) = said["outputs"]
        assert (said.get("id", ""), said["model_version"], output["name"]) == (asked.id, "1", "y")
        assert output["shape"] == list(array.shape)
        assert output["parameters"] == {"binary_data_size": len(body) - size}
        assert body[size:] == bytes(pack(array))


def test_binary_output_can_be_asked_for_the_whole_request() -> None:
    entry = {"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}
    body = json.dumps({"inputs": [entry], "parameters": {"binary_data_output": True}}).encode()
    assert write_infer_json(
        [Tensor("y", np.ones(2, np.float32))], read_infer_json(body, None, LIMITS), model_name="m", model_version=""
    )[0].endswith(np.ones(2, np.float32).tobytes())


def test_numbers_that_json_has_no_form_for_are_words() -> None:
    array = np.array([np.nan, np.inf, -np.inf, 1.5], np.float32)
    body, _ = write_infer_json([Tensor("y", array)], InferRequest(()), model_name="m", model_version="")
    outputs = json.loads(body)["outputs"]
    assert outputs[0]["data"] == ["NaN", "Infinity", "-Infinity", 1.5]
    again = read_infer_json(json.dumps({"inputs": outputs}).encode(), None, LIMITS)
    np.testing.assert_array_equal(again.inputs[0].array, array)


def test_bytes_that_are_no_text_are_refused_in_json() -> None:
    array = np.array([b"\xff"], object)
    with pytest.raises(ConversionError, match="binary_data"):
        write_infer_json([Tensor("y", array)], InferRequest(()), model_name="m", model_version="")


def entry(**changes: object) -> dict[str, object]:
    return {"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]} | changes


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ([entry(datatype="FP99")], "UNKNOWN_DATATYPE"),
        ([entry(shape=[3])], "TENSOR_SHAPE_MISMATCH"),
        ([entry(shape=[-2])], "NEGATIVE_DIMENSION"),
        ([entry(shape=[2.0])], "BAD_SHAPE"),
        ([entry(shape=[True])], "BAD_SHAPE"),
        ([entry(shape=None)], "BAD_SHAPE"),
        ([entry(data=[1, "two"])], "BAD_VALUE"),
        ([entry(data=[[1], [2, 3]])], "TENSOR_SHAPE_MISMATCH|BAD_VALUE"),
        ([entry(data=[1e300, 0])], "OUT_OF_RANGE"),
        ([entry(data=[True, 1])], "BAD_VALUE"),
        ([entry(datatype="UINT8", data=[1, 256])], "BAD_VALUE"),
        ([entry(datatype="INT64", data=[1.5, 2])], "BAD_VALUE"),
        ([entry(datatype="INT64", data=[1 << 63, -1])], "BAD_VALUE"),
        ([entry(datatype="BOOL", data=[1, 2])], "BAD_VALUE"),
        ([entry(datatype="BYTES", data=[1, 2])], "BAD_VALUE"),
        ([entry(data={"a": 1})], "NOT_A_LIST"),
        ([{"name": "x", "datatype": "FP32", "shape": [2]}], "NO_DATA"),
        ([entry(name=None)], "BAD_INFER_REQUEST"),
        ([entry(parameters=[1])], "BAD_INFER_REQUEST"),
        ([entry(parameters={"binary_data_size": 8})], "BAD_BINARY_SIZE"),
        ([entry(parameters={"binary_data_size": -1})], "BAD_BINARY_SIZE"),
        ([entry(parameters={"binary_data_size": "8"})], "BAD_BINARY_SIZE"),
        ([1], "BAD_INFER_REQUEST"),
        (None, "BAD_INFER_REQUEST"),
        ([entry(shape=[1 << 40, 1 << 40])], "TOO_MANY_ELEMENTS"),
        ([entry(shape=[1] * 40)], "TOO_MANY_DIMENSIONS"),
    ],
)
def test_bad_json_requests_are_named(inputs: object, code: str) -> None:
    with pytest.raises(PayloadError) as caught:
        read_infer_json(json.dumps({"inputs": inputs}).encode(), None, LIMITS)
    assert caught.value.code in code.split("|")


@pytest.mark.parametrize("datatype", ["FP32", BYTES])
def test_an_empty_tensor_with_huge_dimensions_is_refused(datatype: str) -> None:
    inputs = [entry(datatype=datatype, shape=[0, 1 << 62, 1 << 62], data=[])]
    with pytest.raises(LimitError):
        read_infer_json(json.dumps({"inputs": inputs}).encode(), None, LIMITS)


def test_left_over_binary_data_are_refused() -> None:
    head = json.dumps({"inputs": [entry()]}).encode()
    with pytest.raises(PayloadError, match="belong to no input"):
        read_infer_json(head + b"1234", len(head), LIMITS)
    with pytest.raises(PayloadError, match="JSON part"):
        read_infer_json(head, len(head) + 1, LIMITS)


@pytest.mark.parametrize("cut", range(1, 20))
def test_truncated_bytes_are_refused(cut: int) -> None:
    array = sample(BYTES)
    request = pb.ModelInferRequest()
    request.inputs.add(name="x", datatype=BYTES, shape=array.shape)
    request.raw_input_contents.append(raw_of(array)[:-cut])
    with pytest.raises(PayloadError) as caught:
        read_infer_request(request.SerializeToString(), LIMITS)
    assert caught.value.code == "TENSOR_SIZE_MISMATCH"


def bad_rpc(case: str) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest()
    tensor = request.inputs.add(name="x", datatype="FP32", shape=[2])
    request.raw_input_contents.append(bytes(8))
    if case == "RAW_COUNT_MISMATCH":
        request.raw_input_contents.append(bytes(8))
    elif case == "TWO_CONTENTS":
        tensor.contents.fp32_contents.extend([1, 2])
    elif case == "TENSOR_SIZE_MISMATCH":
        request.raw_input_contents[0] = bytes(9)
    elif case == "NEGATIVE_DIMENSION":
        tensor.shape[0] = -2
    elif case == "BAD_BOOL":
        tensor.datatype, request.raw_input_contents[0] = "BOOL", b"\x01\x02"
    else:
        del request.raw_input_contents[:]
        if case == "RAW_ONLY":
            tensor.datatype = "FP16"
        elif case == "OUT_OF_RANGE":
            tensor.datatype = "INT8"
            tensor.contents.int_contents.extend([1, 128])
        else:
            tensor.contents.fp32_contents.extend([1, 2, 3])
    return request


@pytest.mark.parametrize(
    "code",
    [
        "RAW_COUNT_MISMATCH",
        "TWO_CONTENTS",
        "TENSOR_SIZE_MISMATCH",
        "NEGATIVE_DIMENSION",
        "BAD_BOOL",
        "RAW_ONLY",
        "OUT_OF_RANGE",
        "TENSOR_SHAPE_MISMATCH",
    ],
)
def test_bad_rpc_requests_are_named(code: str) -> None:
    with pytest.raises(PayloadError) as caught:
        read_infer_request(bad_rpc(code).SerializeToString(), LIMITS)
    assert caught.value.code == code
    assert "'x'" in caught.value.message or code == "RAW_COUNT_MISMATCH"


def test_a_flood_of_empty_inputs_is_refused_before_it_is_built() -> None:
    with pytest.raises(LimitError):
        read_infer_request(b"\x2a\x00" * 1_000_000, LIMITS)


@settings(max_examples=150)
@given(st.binary(max_size=400))
def test_random_bytes_only_raise_payload_errors(data: bytes) -> None:
    reads: tuple[Callable[[], object], ...] = (
        lambda: read_infer_request(data, LIMITS),
        lambda: read_infer_request(b"\x0a\x82\x80\x02" + b"m" * 32_770 + data, LIMITS),
        lambda: read_infer_json(data, None, LIMITS),
        lambda: read_infer_json(data, len(data) // 2, LIMITS),
    )
    for read in reads:
        with contextlib.suppress(PayloadError):
            read()


@settings(max_examples=150)
@given(
    st.sampled_from(sorted(dtypes())),
    st.lists(st.integers(-3, 1 << 62), max_size=5),
    st.binary(max_size=64),
)
def test_hostile_shapes_only_raise_payload_errors(datatype: str, shape: list[int], raw: bytes) -> None:
    request = pb.ModelInferRequest()
    request.inputs.add(name="x", datatype=datatype, shape=shape)
    request.raw_input_contents.append(raw)
    try:
        array = read_infer_request(request.SerializeToString(), LIMITS).inputs[0].array
    except PayloadError:
        return
    assert list(array.shape) == shape
