"""What strangers send: never a crash, a hang, or memory out of proportion; always an error with a name."""

import json
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.proto import (
    DEFAULT_LIMITS,
    Kind,
    Limits,
    Message,
    Meta,
    PayloadError,
    decode,
    payload_of,
    read_feedback,
    read_json_message,
    read_message,
    read_message_list,
    write_message,
)
from penstock.proto.wire import varint

DEPTHS = [50, 64, 65, 99, 101, 1_000, 10_000, 100_000]
READERS: list[Callable[[bytes], object]] = [read_message, read_feedback, read_message_list, read_json_message]
SAMPLES = [
    write_message(Message(payload_of(np.arange(60.0).reshape(6, 10), kind, ["a", "b"])))
    for kind in (Kind.NDARRAY, Kind.TENSOR, Kind.TFTENSOR)
] + [
    write_message(Message(payload_of({"a": [1, {"b": None}]}))),
    write_message(Message(payload_of([["a", 1.5, True]]))),
]


def refused_or_read(read: Callable[[bytes], object], data: bytes) -> None:
    try:
        read(data)
    except PayloadError as error:
        assert error.message
        assert error.code.isupper()


@given(st.binary(max_size=300), st.sampled_from(READERS))
def test_random_bytes(data: bytes, read: Callable[[bytes], object]) -> None:
    refused_or_read(read, data)


@given(st.binary(max_size=200), st.sampled_from(list(Kind)))
def test_random_content(data: bytes, kind: Kind) -> None:
    refused_or_read(lambda content: decode(kind, content), data)


@given(st.sampled_from(SAMPLES), st.integers(0, 900), st.integers(0, 255))
def test_one_byte_changed(sample: bytes, at: int, byte: int) -> None:
    changed = bytearray(sample)
    changed[at % len(sample)] = byte
    refused_or_read(read_message, bytes(changed))


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_truncation(sample: bytes) -> None:
    for size in range(len(sample)):
        refused_or_read(read_message, sample[:size])


def nested_list_value(depth: int) -> bytes:
    headers: list[bytes] = []
    size = 0
    for _ in range(depth):
        inner = b"\x32" + varint(size)
        headers.append(b"\x0a" + varint(len(inner) + size) + inner)
        size += len(headers[-1])
    return b"".join(reversed(headers))


@pytest.mark.parametrize("depth", DEPTHS)
def test_nesting_bomb_in_protobuf(depth: int) -> None:
    value = nested_list_value(depth)
    ndarray = b"\x1a" + varint(len(value)) + value
    data = b"\x1a" + varint(len(ndarray)) + ndarray
    if depth + 1 <= DEFAULT_LIMITS.nesting:
        refused_or_read(read_message, data)
        return
    with pytest.raises(PayloadError) as caught:
        read_message(data)
    assert caught.value.code in ("NESTING_TOO_DEEP", "TOO_MANY_DIMENSIONS")


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("form", ['{"data":{"ndarray":%s}}', '{"jsonData":%s}', '{"meta":{"tags":{"a":%s}}}'])
def test_nesting_bomb_in_json(depth: int, form: str) -> None:
    body = (form % ("[" * depth + "]" * depth)).encode()
    if depth <= DEFAULT_LIMITS.dimensions:
        read_json_message(body)
        return
    if depth + form.count("tags") <= DEFAULT_LIMITS.nesting and "ndarray" not in form:
        read_json_message(body)
        return
    with pytest.raises(PayloadError) as caught:
        read_json_message(body)
    assert caught.value.code in ("NESTING_TOO_DEEP", "TOO_MANY_DIMENSIONS", "INVALID_JSON")


@pytest.mark.parametrize("depth", [200, 100_000])
def test_nesting_bomb_in_objects(depth: int) -> None:
    body = b'{"jsonData":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
    with pytest.raises(PayloadError):
        read_json_message(body)


@pytest.mark.parametrize(
    "shape", [[-1], [2**31 - 1, 2**31 - 1], [2**31 - 1] * 32, [1] * 33, [0] * 1000, [65536, 65536, 65536, 65536]]
)
def test_hostile_shapes_take_no_memory(shape: list[int]) -> None:
    tensor = b"".join(map(varint, shape))
    tensor = b"\x0a" + varint(len(tensor)) + tensor
    data = b"\x12" + varint(len(tensor)) + tensor
    data = b"\x1a" + varint(len(data)) + data
    assert peak_of(lambda: refused_or_read(read_message, data)) < 1 << 20
    dims = ",".join(f'{{"size":"{size}"}}' for size in shape)
    body = f'{{"data":{{"tftensor":{{"dtype":"DT_INT8","tensorShape":{{"dim":[{dims}]}},"intVal":[1]}}}}}}'.encode()
    assert peak_of(lambda: refused_or_read(read_json_message, body)) < 1 << 20


def test_one_value_for_sixteen_million_takes_no_memory() -> None:
    body = b'{"dtype":"DT_DOUBLE","tensorShape":{"dim":[{"size":"16777216"}]},"doubleVal":[1]}'
    assert peak_of(lambda: decode("tftensor", body)) < 1 << 20


def test_a_list_of_empty_values_stays_in_proportion() -> None:
    empty = b"\x0a\x02\x08\x00" * 250_000
    ndarray = b"\x1a" + varint(len(empty)) + empty
    data = b"\x1a" + varint(len(ndarray)) + ndarray
    assert peak_of(lambda: refused_or_read(read_message, data)) < 40 * len(data)


def peak_of(action: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_each_limit_holds() -> None:
    small = Limits(message_bytes=200, elements=10, dimensions=2, nesting=4, meta_bytes=10)
    for body, code in (
        (b'{"strData":"' + b"x" * 200 + b'"}', "MESSAGE_TOO_LARGE"),
        (b'{"data":{"ndarray":[1,2,3,4,5,6,7,8,9,10,11]}}', "TOO_MANY_ELEMENTS"),
        (b'{"data":{"ndarray":[[[1]]]}}', "TOO_MANY_DIMENSIONS"),
        (b'{"jsonData":[[[[[1]]]]]}', "NESTING_TOO_DEEP"),
    ):
        with pytest.raises(PayloadError) as caught:
            read_json_message(body, small)
        assert caught.value.code == code
        assert caught.value.http_status == 413
    with pytest.raises(PayloadError) as caught:
        read_message(write_message(Message(meta=Meta(puid="x" * 20))), small)
    assert caught.value.code == "META_TOO_LARGE"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "INVALID_JSON"),
        (b"{", "INVALID_JSON"),
        (b"\xff", "INVALID_JSON"),
        (b'{"data":{"ndarray":[[NaN]]}}', "INVALID_JSON"),
        (b'{"data":{"ndarray":[[1e999]]}}', "INVALID_JSON"),
        (b'{"jsonData":{"a":[1e999]}}', "INVALID_JSON"),
        (b'{"jsonData":1e999}', "INVALID_JSON"),
        (b"[1]", "NOT_AN_OBJECT"),
        (b'"x"', "NOT_AN_OBJECT"),
        (b'{"foo":1}', "UNKNOWN_KEY"),
        (b'{"data":{"foo":1}}', "UNKNOWN_KEY"),
        (b'{"data":{}}', "EMPTY_DATA"),
        (b'{"data":{"ndarray":5}}', "NOT_A_LIST"),
        (b'{"data":{"ndarray":[1],"tensor":{}}}', "SEVERAL_PAYLOADS"),
        (b'{"data":{"ndarray":[1]},"strData":"q"}', "SEVERAL_PAYLOADS"),
        (b'{"strData":1}', "NOT_TEXT"),
        (b'{"binData":"a!G@k="}', "BAD_BASE64"),
        (b'{"data":{"names":"a","ndarray":[1]}}', "BAD_NAMES"),
        (b'{"strData":"a","meta":{"routing":{"a":"b"}}}', "BAD_META"),
        (b'{"strData":"a","meta":{"metrics":[{"type":"OTHER"}]}}', "BAD_METRIC"),
    ],
)
def test_bad_json_is_named(body: bytes, code: str) -> None:
    with pytest.raises(PayloadError) as caught:
        read_json_message(body)
    assert caught.value.code == code
    json.dumps(caught.value.message)
