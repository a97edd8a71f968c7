"""Protobuf messages: any bytes are read or refused by name, what was read is the same after a round trip, and where it
is numbers, protobuf's own library reads the same numbers.

The first byte chooses the reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf.message import DecodeError
from tests.fuzz.equality import equal

from penstock.proto import (
    Kind,
    Limits,
    PayloadError,
    read_feedback,
    read_message,
    read_message_list,
    write_feedback,
    write_message,
    write_message_list,
)
from penstock.proto import prediction_pb2 as pb
from penstock.proto.inference import read_infer_request, write_infer_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.proto import Message

_LIMITS = Limits(message_bytes=1 << 16, elements=100_000, nesting=20, meta_bytes=1 << 12)


def run(data: bytes) -> None:
    try:
        _READERS[data[0] % len(_READERS) if data else 0](bytes(data[1:]))
    except PayloadError as error:
        assert error.message
        assert error.code.isupper()


def _message(data: bytes) -> None:
    message = read_message(data, _LIMITS)
    _same(message, write_message, read_message)
    if message.payload is not None and message.payload.kind is Kind.TENSOR:
        _as_protobuf(message, data)


def _as_protobuf(message: Message, data: bytes) -> None:
    try:
        tensor = pb.SeldonMessage.FromString(data).data.tensor
    except DecodeError:
        return  # what is not needed is not looked at, so it may be broken
    assert message.payload is not None
    values = np.array(tensor.values)
    assert np.array_equal(message.payload.array.reshape(-1), values, equal_nan=True), (message, values)


def _feedback(data: bytes) -> None:
    _same(read_feedback(data, _LIMITS), write_feedback, read_feedback)


def _list(data: bytes) -> None:
    _same(read_message_list(data, _LIMITS), write_message_list, read_message_list)


def _infer(data: bytes) -> None:
    """Written as an answer, whose tensors have the same fields."""
    asked = read_infer_request(data, _LIMITS)
    assert sum(tensor.array.size for tensor in asked.inputs) <= _LIMITS.elements * max(1, len(asked.inputs))
    written = write_infer_response(asked.inputs, model_name="m", model_version="", request_id=asked.id)
    held = sum(len(tensor.name) * 4 + tensor.array.nbytes + tensor.array.ndim * 10 for tensor in asked.inputs)
    assert len(written) <= 10 * (held + len(data) + 100)


def _same(read: Any, write: Callable[[Any], bytes], again: Callable[[bytes], Any]) -> None:
    assert equal(again(write(read)), read), read


_READERS: tuple[Callable[[bytes], None], ...] = (_message, _feedback, _list, _infer)
