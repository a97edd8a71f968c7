"""What strangers send is answered with a reason; never with a 5xx, INTERNAL, UNKNOWN, or not at all."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.proto import open_inference_pb2 as oi
from penstock.proto import prediction_pb2 as pb

if TYPE_CHECKING:
    import httpx
    from google.protobuf.message import Message

    from ..conftest import Served

DEPTHS = (50, 100, 1000, 100_000)
REST = ("/predict", "/send-feedback", "/aggregate", "/transform-input", "/route", "/v2/models/units/infer")
RPC = (
    "/seldon.protos.Seldon/Predict",
    "/seldon.protos.Model/SendFeedback",
    "/seldon.protos.Combiner/Aggregate",
    "/seldon.protos.Seldon/ModelMetadata",
    "/inference.GRPCInferenceService/ModelInfer",
    "/inference.GRPCInferenceService/ModelMetadata",
)
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def rest_status(http: httpx.Client, path: str, body: bytes, content_type: str = "application/json") -> int:
    answer = http.post(path, content=body, headers={"content-type": content_type})
    assert answer.status_code < 500, f"{path} {body[:100]!r}: {answer.text}"
    return answer.status_code


def rpc_code(channel: grpc.Channel, path: str, body: bytes) -> str:
    try:
        channel.unary_unary(path, None, None)(body, timeout=60)
    except grpc.RpcError as error:
        code = error.code().name
        assert code not in {"INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED", "UNAVAILABLE"}, error.details()
        assert error.details()
        return code
    return "OK"


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("form", ["ndarray", "jsonData", "objects", "tags", "whole", "inputs"])
def test_nesting_bombs_in_json(http: httpx.Client, depth: int, form: str) -> None:
    lists = b"[" * depth + b"1" + b"]" * depth
    objects = b'{"a":' * depth + b"1" + b"}" * depth
    path, body = {
        "ndarray": ("/predict", b'{"data":{"ndarray":' + lists + b"}}"),
        "jsonData": ("/predict", b'{"jsonData":' + lists + b"}"),
        "objects": ("/predict", b'{"jsonData":' + objects + b"}"),
        "tags": ("/predict", b'{"strData":"a","meta":{"tags":{"t":' + lists + b"}}}"),
        "whole": ("/predict", lists),
        "inputs": (
            "/v2/models/units/infer",
            b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":' + lists + b"}]}",
        ),
    }[form]
    assert rest_status(http, path, body) in ({200, 400, 413} if depth == 50 else {400, 413})


def nested_value(depth: int) -> bytes:
    value = b"\x11" + bytes(8)
    for _ in range(depth):
        inner = b"\x0a" + varint(len(value)) + value
        value = b"\x32" + varint(len(inner)) + inner
    return value


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


@pytest.mark.parametrize("depth", [50, 100, 1000, 20_000])
@pytest.mark.parametrize("form", ["jsonData", "ndarray", "tags"])
def test_nesting_bombs_in_protobuf(channel: grpc.Channel, depth: int, form: str) -> None:
    value = nested_value(depth)
    body = {
        "jsonData": lambda: field(6, value),
        "ndarray": lambda: field(3, field(3, field(1, value))),
        "tags": lambda: field(5, b"x") + field(2, field(2, field(1, b"t") + field(2, value))),
    }[form]()
    code = rpc_code(channel, RPC[0], body)
    assert code in (
        {"OK", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"} if depth == 50 else {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}
    )


@FEW
@given(path=st.sampled_from(REST), body=st.binary(max_size=200))
def test_random_bytes_over_rest(http: httpx.Client, path: str, body: bytes) -> None:
    rest_status(http, path, body)
    rest_status(http, path, body, "multipart/form-data; boundary=B")
    rest_status(http, path, body, "application/x-www-form-urlencoded")


KEYS = st.sampled_from(
    [
        "data",
        "ndarray",
        "tensor",
        "shape",
        "values",
        "tftensor",
        "dtype",
        "tensorShape",
        "names",
        "binData",
        "strData",
        "jsonData",
        "meta",
        "puid",
        "tags",
        "metrics",
        "status",
        "request",
        "reward",
        "seldonMessages",
        "inputs",
        "name",
        "datatype",
        "parameters",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["NaN", "AAAA"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@FEW
@given(path=st.sampled_from(REST), value=st.dictionaries(KEYS, JSON, max_size=4))
def test_likely_json_over_rest(http: httpx.Client, path: str, value: dict[str, Any]) -> None:
    rest_status(http, path, json.dumps(value).encode())


@FEW
@given(path=st.sampled_from(RPC), body=st.binary(max_size=200))
def test_random_bytes_over_grpc(channel: grpc.Channel, path: str, body: bytes) -> None:
    rpc_code(channel, path, body)


def seeds() -> list[tuple[str, Message]]:
    rows: list[Any] = [[1.0, "x", None, True], [2.0]]
    message = pb.SeldonMessage()
    message.data.names.extend(["a", "b"])
    message.data.ndarray.extend(rows)
    message.meta.tags["t"].string_value = "v"
    message.meta.metrics.add(key="k", value=1)
    tensor = pb.SeldonMessage()
    tensor.data.tensor.shape.extend([2, 2])
    tensor.data.tensor.values.extend([1, 2, 3, 4])
    infer = oi.ModelInferRequest(model_name="units")
    infer.inputs.add(name="x", datatype="FP32", shape=[2])
    infer.raw_input_contents.append(bytes(8))
    return [(RPC[0], message), (RPC[0], tensor), (RPC[4], infer)]


@pytest.mark.parametrize(("path", "message"), seeds(), ids=["ndarray", "tensor", "infer"])
def test_every_truncation_over_grpc(channel: grpc.Channel, path: str, message: Message) -> None:
    body = message.SerializeToString()
    for size in range(len(body)):
        rpc_code(channel, path, body[:size])


@FEW
@given(seed=st.sampled_from(range(3)), at=st.integers(0, 1 << 16), byte=st.integers(0, 255))
def test_flipped_bytes_over_grpc(channel: grpc.Channel, seed: int, at: int, byte: int) -> None:
    path, message = seeds()[seed]
    body = bytearray(message.SerializeToString())
    body[at % len(body)] = byte
    rpc_code(channel, path, bytes(body))


@pytest.mark.parametrize(
    "shape",
    [
        [-1, 4],
        [0],
        [1 << 31, 1 << 31],
        [(1 << 63) - 1] * 8,
        [1] * 1000,
        [2**24 + 1],
        [3],
    ],
)
def test_hostile_shapes(http: httpx.Client, channel: grpc.Channel, shape: list[int]) -> None:
    values = [1.0, 2.0, 3.0, 4.0]
    body = {"data": {"tensor": {"shape": shape, "values": values}}}
    assert 400 <= http.post("/predict", json=body).status_code < 500
    infer = oi.ModelInferRequest(model_name="units")
    infer.inputs.add(name="x", datatype="FP64", shape=shape)
    infer.raw_input_contents.append(bytes(32))
    assert rpc_code(channel, RPC[4], infer.SerializeToString()) in {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}
    if all(abs(size) < 1 << 31 for size in shape):
        message = pb.SeldonMessage()
        message.data.tensor.shape.extend(shape)
        message.data.tensor.values.extend(values)
        assert rpc_code(channel, RPC[0], message.SerializeToString()) in {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}


HUGE = 2**31 - 1


@pytest.mark.parametrize(
    "data",
    [
        {"tensor": {"shape": [0, HUGE, HUGE, HUGE], "values": []}},
        {"tftensor": {"dtype": "DT_FLOAT", "tensorShape": {"dim": [{"size": "0"}] + [{"size": str(HUGE)}] * 3}}},
    ],
    ids=["tensor", "tftensor"],
)
def test_an_empty_tensor_with_huge_dimensions(http: httpx.Client, channel: grpc.Channel, data: dict[str, Any]) -> None:
    assert rest_status(http, "/predict", json.dumps({"data": data}).encode()) in {400, 413}
    message = ParseDict({"data": data}, pb.SeldonMessage())
    assert rpc_code(channel, RPC[0], message.SerializeToString()) in {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}


@pytest.mark.parametrize(
    "request_",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /%ff%fe/predict HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n",
    ],
)
def test_broken_http_is_answered_with_a_4xx(units: Served, http: httpx.Client, request_: bytes) -> None:
    where = urlsplit(units.http)
    with socket.create_connection((where.hostname, where.port), 60) as connection:
        connection.sendall(request_)
        assert connection.recv(12).startswith(b"HTTP/1.1 4")
    assert http.get("/health/ping").text == "pong"


def test_a_body_that_stops_half_way_is_no_ones_problem(units: Served, http: httpx.Client) -> None:
    where = urlsplit(units.http)
    with socket.create_connection((where.hostname, where.port), 60) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert http.get("/health/ping").text == "pong"


def flood(connection: socket.socket, line: bytes) -> None:
    for _ in range(20_000):
        connection.sendall(line)


@pytest.mark.parametrize("line", [b"X-Filler: %s\r\n" % (b"a" * 1000), b"a" * 1000], ids=["many", "one"])
def test_headers_without_end_are_cut_off(units: Served, http: httpx.Client, line: bytes) -> None:
    where = urlsplit(units.http)
    with socket.create_connection((where.hostname, where.port), 60) as connection:
        connection.sendall(b"GET /health/ping HTTP/1.1\r\nHost: x\r\nX-Long: ")
        with pytest.raises(OSError):  # noqa: PT011  (reset or broken pipe: the server hung up)
            flood(connection, line)
    assert http.get("/health/ping").text == "pong"
