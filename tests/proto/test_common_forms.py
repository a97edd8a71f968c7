"""What is read by its form alone (one array and nothing else, a list like the last) is read as the long way does."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from penstock.proto import Kind, Message, Meta, Payload, PayloadError, read_message, write_message
from penstock.proto import open_inference_pb2 as v2
from penstock.proto import prediction_pb2 as pb
from penstock.proto.arrays import array_of
from penstock.proto.inference import read_infer_request
from penstock.proto.limits import DEFAULT_LIMITS, Limits
from penstock.proto.values import read_list

if TYPE_CHECKING:
    from penstock.proto.payload import Array

# A field that no message has: what holds it is not read by its form.
_UNKNOWN = b"\xf8\x07\x01"
_SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4)
_FORMS = st.sampled_from([Kind.TENSOR, Kind.NDARRAY])


def _numbers(shape: list[int], seed: int) -> Array:
    return np.random.default_rng(seed).normal(0, 1e3, shape)


@given(_FORMS, _SHAPES, st.integers(0, 9), st.lists(st.text(max_size=3), max_size=2))
def test_the_short_way_reads_what_the_long_way_reads(kind: Kind, shape: list[int], seed: int, names: list[str]) -> None:
    body = write_message(Message(Payload(kind, _numbers(shape, seed), tuple(names))))
    for _ in range(2):  # the second time there is a pattern
        short, long = read_message(body), read_message(body + _UNKNOWN)
        for message in (short, long):
            assert message.payload is not None
            assert message.payload.kind is kind
            assert message.payload.names == tuple(names)
            assert message.payload.array.shape == tuple(shape)
            assert message.payload.array.dtype == np.float64
            assert not message.payload.array.flags.writeable
            np.testing.assert_array_equal(message.payload.array, _numbers(shape, seed))


@given(st.sampled_from([[3], [1, 4], [2, 3], [2, 2, 2]]), st.data())
def test_a_list_that_differs_from_the_pattern_in_one_byte_is_read_the_long_way(
    shape: list[int], data: st.DataObject
) -> None:
    body = write_message(Message(Payload(Kind.NDARRAY, _numbers(shape, 1))))
    read_message(body)
    at = data.draw(st.integers(0, len(body) - 1))
    broken = bytearray(body)
    broken[at] ^= data.draw(st.integers(1, 255))
    try:
        parsed = pb.SeldonMessage.FromString(bytes(broken))
    except Exception:
        parsed = None
    try:
        message = read_message(bytes(broken))
    except PayloadError:
        return
    assert parsed is not None, "protobuf does not read it"
    if message.payload is not None and message.payload.kind is Kind.NDARRAY:
        inner = parsed.data.ndarray.SerializeToString()
        expected = array_of(read_list(inner, 0, len(inner), DEFAULT_LIMITS), DEFAULT_LIMITS, words=False)
        np.testing.assert_array_equal(message.payload.array, expected)


def test_lists_of_one_size_and_several_shapes_take_turns() -> None:
    four = write_message(Message(Payload(Kind.NDARRAY, np.arange(4.0).reshape(1, 4))))
    length = 40  # of a text that takes the room of four numbers
    text = pb.SeldonMessage()
    text.data.ndarray.values.add().list_value.values.add().string_value = "x" * length
    other = text.SerializeToString()
    assert len(other) == len(four)
    for _ in range(3):
        first, second = read_message(four).payload, read_message(other).payload
        assert first is not None
        assert second is not None
        assert first.array.shape == (1, 4)
        assert second.array.tolist() == [["x" * length]]


@pytest.mark.parametrize("kind", [Kind.TENSOR, Kind.NDARRAY])
def test_limits_hold_for_the_short_way_too(kind: Kind) -> None:
    body = write_message(Message(Payload(kind, np.arange(12.0).reshape(3, 4))))
    read_message(body)
    for limits in (Limits(elements=11), Limits(dimensions=1), Limits(nesting=1)):
        if kind is Kind.TENSOR and limits.nesting == 1:
            continue
        with pytest.raises(PayloadError):
            read_message(body, limits)


@pytest.mark.parametrize("sizes", [[5], [2, 3], [-1, 4], [1 << 20, 1 << 20], [0, 3], []])
def test_a_tensor_whose_shape_does_not_fit_is_refused_by_the_short_way_as_by_the_long(sizes: list[int]) -> None:
    message = pb.SeldonMessage()
    message.data.tensor.shape.extend(sizes)
    message.data.tensor.values.extend([1.0, 2.0, 3.0, 4.0])
    body = message.SerializeToString()
    with pytest.raises(PayloadError) as short:
        read_message(body)
    with pytest.raises(PayloadError) as long:
        read_message(body + _UNKNOWN)
    assert (short.value.code, short.value.message) == (long.value.code, long.value.message)


@given(st.text(max_size=200), st.dictionaries(st.text(max_size=9), st.text(max_size=200), max_size=3))
def test_protobuf_reads_a_plain_meta_as_it_was_meant(puid: str, path: dict[str, str]) -> None:
    for _ in range(2):
        written = pb.SeldonMessage.FromString(write_message(Message(meta=Meta(puid, request_path=path))))
        assert written.meta.puid == puid
        assert dict(written.meta.requestPath) == path
        assert written.HasField("meta") is bool(puid or path)
        assert read_message(written.SerializeToString()).meta == Meta(puid, request_path=path)


@given(st.binary(max_size=30) | st.binary(max_size=12).map(lambda rest: b"\x0a\x01p\x22\x06\x0a\x01a\x12\x01b" + rest))
def test_a_meta_is_read_as_protobuf_reads_it(encoded: bytes) -> None:
    try:
        expected = pb.Meta.FromString(encoded)
    except DecodeError:
        with pytest.raises(PayloadError):
            read_message(b"\x12" + bytes([len(encoded)]) + encoded)
        return
    try:
        meta = read_message(b"\x12" + bytes([len(encoded)]) + encoded).meta
    except PayloadError:
        assert expected.tags  # a tag without a value is no tag
        return
    assert (meta.puid, meta.request_path) == (expected.puid, dict(expected.requestPath))
    assert meta.routing == dict(expected.routing)


def test_answers_of_one_shape_do_not_share_their_bytes() -> None:
    first = write_message(Message(Payload(Kind.NDARRAY, np.array([[1.0, 2.0]]))))
    second = write_message(Message(Payload(Kind.NDARRAY, np.array([[3.0, 4.0]]))))
    assert struct.pack("<d", 1.0) in first
    assert struct.pack("<d", 3.0) in second
    assert struct.pack("<d", 1.0) not in second


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", ""]), st.integers(0, 3)), max_size=3),
    st.sampled_from(["", "one", "two"]),
    st.integers(0, 9),
    st.booleans(),
)
def test_a_head_that_was_read_before_gives_each_request_its_own_numbers(
    inputs: list[tuple[str, int]], request_id: str, seed: int, late: bool
) -> None:
    request = v2.ModelInferRequest(model_name="m", id=request_id)
    raws = []
    for index, (name, size) in enumerate(inputs):
        request.inputs.add(name=name, datatype="FP32", shape=[size])
        raws.append(np.random.default_rng(seed + index).random(size, np.float32).tobytes())
    if not late:
        request.raw_input_contents.extend(raws)
    body = request.SerializeToString()
    if late:  # raw contents before all else, as nobody writes them
        raw_first = v2.ModelInferRequest(raw_input_contents=raws)
        body = raw_first.SerializeToString() + body
    for _ in range(2):
        read = read_infer_request(body, DEFAULT_LIMITS)
        assert (read.model_name, read.id) == ("m", request_id)
        assert [tensor.name for tensor in read.inputs] == [name for name, _ in inputs]
        assert [tensor.array.tobytes() for tensor in read.inputs] == raws
