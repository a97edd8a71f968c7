"""protobuf's own library as the judge: what we write, it reads, and what it writes, we read."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from penstock.proto import (
    Feedback,
    Kind,
    Message,
    Meta,
    Metric,
    Payload,
    Status,
    message_from_json,
    payload_of,
    read_feedback,
    read_message,
    read_message_list,
    write_feedback,
    write_message,
    write_message_list,
)
from penstock.proto import (
    prediction_pb2 as pb,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(texts, children, max_size=4),
    max_leaves=20,
)
metas = st.builds(
    Meta,
    puid=texts,
    tags=st.dictionaries(texts, json_values, max_size=3),
    routing=st.dictionaries(texts, st.integers(-(2**31), 2**31 - 1), max_size=3),
    request_path=st.dictionaries(texts, texts, max_size=3),
    metrics=st.lists(
        st.builds(
            Metric,
            texts,
            st.sampled_from(["COUNTER", "GAUGE", "TIMER"]),
            st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda x: float(str(np.float32(x)))),
            st.dictionaries(texts, texts, max_size=2),
        ),
        max_size=2,
    ).map(tuple),
)


def parsed(message: Message) -> Any:
    return json_format.MessageToDict(pb.SeldonMessage.FromString(write_message(message)))


@given(json_values)
def test_json_data_is_what_protobuf_reads(value: Any) -> None:
    assert parsed(Message(Payload(Kind.JSON_DATA, value))) == {"jsonData": value}


@given(json_values)
def test_json_data_that_protobuf_writes_is_read(value: Any) -> None:
    message = json_format.ParseDict({"jsonData": value}, pb.SeldonMessage())
    read = read_message(message.SerializeToString()).payload
    assert read is not None
    assert read.value == value


@given(st.lists(st.lists(json_values, max_size=4), max_size=4))
def test_ndarray_is_what_protobuf_reads(rows: list[Any]) -> None:
    assert parsed(Message(payload_of(rows, Kind.NDARRAY))) == {"data": {"ndarray": rows}}


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 2**32))
def test_regular_ndarray_is_byte_for_byte_what_protobuf_writes(shape: list[int], seed: int) -> None:
    array = np.random.default_rng(seed).normal(size=shape)
    theirs = json_format.ParseDict({"data": {"ndarray": array.tolist()}}, pb.SeldonMessage()).SerializeToString()
    assert write_message(Message(payload_of(array))) == theirs
    read = read_message(theirs).payload
    assert read is not None
    np.testing.assert_array_equal(read.array, array, strict=True)


@given(metas)
def test_meta_survives(meta: Meta) -> None:
    assert read_message(write_message(Message(meta=meta))).meta == meta


@given(metas)
def test_meta_in_json_is_protobufs_mapping(meta: Meta) -> None:
    theirs = json_format.MessageToDict(pb.SeldonMessage.FromString(write_message(Message(meta=meta))))
    ours = message_from_json(theirs).meta
    assert replace(ours, metrics=()) == replace(meta, metrics=())
    # Both write a float32 in few digits, protobuf sometimes in one more than it takes.
    assert [replace(metric, value=float(np.float32(metric.value))) for metric in ours.metrics] == [
        replace(metric, value=float(np.float32(metric.value))) for metric in meta.metrics
    ]


def test_status_survives() -> None:
    status = Status(-1, "why", "MICROSERVICE_BAD_DATA", failure=True)
    assert read_message(write_message(Message(status=status))).status == status


def test_feedback_survives() -> None:
    feedback = Feedback(
        request=Message(payload_of([[1.0]])),
        response=Message(payload_of("yes"), Meta(routing={"router": 1})),
        reward=0.5,
    )
    read = read_feedback(write_feedback(feedback))
    assert read.request.payload is not None
    assert read.request.payload.array.tolist() == [[1.0]]
    assert read.response.meta.routing == {"router": 1}
    assert (read.reward, read.truth.payload) == (0.5, None)
    assert pb.Feedback.FromString(write_feedback(feedback)).response.strData == "yes"


def test_message_list_survives() -> None:
    messages = [Message(payload_of("a")), Message(payload_of(b"b"))]
    read = read_message_list(write_message_list(messages))
    assert [message.payload.value for message in read if message.payload] == ["a", b"b"]


def test_unpacked_and_split_values_are_joined_as_protobuf_does() -> None:
    split = b"\x0a\x01\x02" + b"\x12\x08" + np.float64(1.5).tobytes() + b"\x11" + np.float64(2.5).tobytes()
    data = b"\x12" + bytes([len(split)]) + split
    read = read_message(b"\x1a" + bytes([len(data)]) + data).payload
    assert read is not None
    assert read.array.tolist() == [1.5, 2.5]


def test_unknown_fields_are_skipped() -> None:
    assert read_message(b"\xa2\x06\x01x" + write_message(Message(payload_of("a")))).payload.value == "a"  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [Kind.NDARRAY, Kind.TENSOR, Kind.TFTENSOR])
def test_names_travel(kind: Kind) -> None:
    message = Message(payload_of(np.eye(2), kind, ["a", "é"]))
    assert parsed(message)["data"]["names"] == ["a", "é"]
    assert read_message(write_message(message)).payload.names == ("a", "é")  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [Kind.TENSOR, Kind.NDARRAY, Kind.TFTENSOR])
def test_large_arrays_are_views_of_the_received_bytes(kind: Kind) -> None:
    data = write_message(Message(payload_of(np.ones((100, 100)), kind)))
    array = read_message(data).payload.array  # type: ignore[union-attr]
    assert np.shares_memory(array, np.frombuffer(data, np.uint8))
    assert not array.flags.writeable


def test_vectors_are_real_json() -> None:
    assert json.loads(json.dumps(parsed(Message(payload_of([[1.5, None]]))))) == {"data": {"ndarray": [[1.5, None]]}}
