"""SeldonMessage in protobuf bytes, to and from `Message`.

Only what a prediction needs is looked at: the fields of the message are found by a scan, the numbers stay views
of the received bytes, and just the small parts (meta, status) go through protobuf's own parser.

Field numbers: SeldonMessage 1 status, 2 meta, 3 data, 4 binData, 5 strData, 6 jsonData, 7 customData;
DefaultData 1 names, 2 tensor, 3 ndarray, 4 tftensor; Feedback 1 request, 2 response, 3 reward, 4 truth.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as ProtobufMessage

from . import prediction_pb2 as pb
from .arrays import array_of, check_list_shape, float64_of, is_number, nested_of
from .errors import PayloadError
from .limits import DEFAULT_LIMITS
from .payload import Feedback, Kind, Message, Meta, Metric, Payload, Status
from .regular import read_regular, write_regular
from .tensors import read_tensor, write_tensor
from .tftensor import plain_array, read_tftensor, write_tftensor
from .values import read_list, read_value, text_bytes, write_list, write_value
from .wire import FIXED32, LENGTH, Chunk, Field, length_field, scan, text_at, varint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .limits import Limits
    from .payload import Array

_STATUS, _META, _DATA, _BIN, _STR, _JSON, _CUSTOM = range(1, 8)
_NAMES, _TENSOR, _NDARRAY, _TFTENSOR = range(1, 5)
_KINDS = {_DATA: "data", _BIN: "binData", _STR: "strData", _JSON: "jsonData", _CUSTOM: "customData"}
_FORMS = {_TENSOR: "tensor", _NDARRAY: "ndarray", _TFTENSOR: "tftensor"}
_METRIC_TYPES = ("COUNTER", "GAUGE", "TIMER")
# Below this many elements a list is written faster element by element than as an array.
_FEW = 24
_M = TypeVar("_M", bound=ProtobufMessage)


def read_message(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Message:
    """Read a ``SeldonMessage``.

    Args:
        data: the received bytes; arrays of the result are read-only views of them where that is possible.
        limits: what is refused.

    Raises:
        PayloadError: what is broken, and where. LimitError: too large, too many, too deep.
    """
    limits.check_bytes(len(data))
    return _message(data, 0, len(data), limits)


def _message(data: bytes, start: int, stop: int, limits: Limits) -> Message:
    chosen: Field | None = None
    meta, status = Meta(), None
    for field in scan(data, start, stop):
        if field.wire_type != LENGTH:
            continue
        if field.number in _KINDS:
            if chosen is not None:
                raise _several(_KINDS[chosen.number], _KINDS[field.number])
            chosen = field
        elif field.number == _META:
            meta = _read_meta(data[field.start : field.stop], limits)
        elif field.number == _STATUS:
            status = _read_status(data[field.start : field.stop])
    return Message(None if chosen is None else _payload(data, chosen, limits), meta, status)


def _several(first: str, second: str) -> PayloadError:
    if first == second:
        return PayloadError(f"the message has {first} twice", code="SEVERAL_PAYLOADS")
    return PayloadError(f"the message has both {first} and {second}; it may have one", code="SEVERAL_PAYLOADS")


def _payload(data: bytes, field: Field, limits: Limits) -> Payload:
    if field.number == _DATA:
        return _default_data(data, field.start, field.stop, limits)
    if field.number == _BIN:
        return Payload(Kind.BIN_DATA, data[field.start : field.stop])
    if field.number == _STR:
        return Payload(Kind.STR_DATA, text_at(data, field, "strData"))
    if field.number == _JSON:
        return Payload(Kind.JSON_DATA, read_value(data, field.start, field.stop, limits))
    raise PayloadError("customData is not one of the six kinds that are served", code="UNKNOWN_KIND")


def _default_data(data: bytes, start: int, stop: int, limits: Limits) -> Payload:
    names: list[str] = []
    chosen: Field | None = None
    for field in scan(data, start, stop):
        if field.wire_type != LENGTH:
            continue
        if field.number == _NAMES:
            names.append(text_at(data, field, "a name"))
            limits.check_elements(len(names))
        elif field.number in _FORMS:
            if chosen is not None:
                raise _several(_FORMS[chosen.number], _FORMS[field.number])
            chosen = field
    if chosen is None:
        raise PayloadError("data is empty: it has neither ndarray, tensor nor tftensor", code="EMPTY_DATA")
    return Payload(Kind(_FORMS[chosen.number]), _array(data, chosen, limits), tuple(names))


def _array(data: bytes, field: Field, limits: Limits) -> Array:
    if field.number == _TENSOR:
        return read_tensor(data, field.start, field.stop, limits)
    if field.number == _TFTENSOR:
        return read_tftensor(data, field.start, field.stop, limits)
    regular = read_regular(data, field.start, field.stop, limits)
    if regular is not None:
        return regular
    return array_of(read_list(data, field.start, field.stop, limits), limits, words=False)


def _read_meta(data: bytes, limits: Limits) -> Meta:
    if len(data) > limits.meta_bytes:
        raise PayloadError(
            f"meta has {len(data):,} bytes, more than the {limits.meta_bytes:,} allowed", code="META_TOO_LARGE"
        )
    meta = _parse(pb.Meta, data, "meta")
    return Meta(
        puid=meta.puid,
        tags={key: _tag(value, limits) for key, value in meta.tags.items()},
        routing=dict(meta.routing),
        request_path=dict(meta.requestPath),
        metrics=tuple(_read_metric(metric) for metric in meta.metrics),
    )


def _tag(value: ProtobufMessage, limits: Limits) -> object:
    encoded = value.SerializeToString()
    return read_value(encoded, 0, len(encoded), limits) if encoded else None


def _read_metric(metric: pb.Metric) -> Metric:
    kind = _METRIC_TYPES[metric.type] if 0 <= metric.type < len(_METRIC_TYPES) else str(int(metric.type))
    # The shortest text of the float32 that came, so that 20.2 stays 20.2.
    return Metric(metric.key, kind, float(str(np.float32(metric.value))), dict(metric.tags))


def _read_status(data: bytes) -> Status:
    status = _parse(pb.Status, data, "status")
    return Status(status.code, status.info, status.reason, failure=status.status == pb.Status.FAILURE)


def _parse(kind: type[_M], data: bytes, what: str) -> _M:
    try:
        return kind.FromString(data)
    except DecodeError:
        raise PayloadError(f"{what} is no {kind.DESCRIPTOR.name} message", code="BAD_WIRE") from None


def write_message(message: Message) -> bytes:
    """Write a ``SeldonMessage``.

    Raises:
        ConversionError: a value that this wire form cannot hold exactly, such as an integer above 2**53 in an
            ndarray, whose numbers are doubles here.
    """
    return b"".join(_chunks(message))


def _chunks(message: Message) -> Iterator[Chunk]:
    if message.status is not None:
        yield from length_field(_STATUS, [_write_status(message.status)])
    if message.meta:
        yield from length_field(_META, [_write_meta(message.meta)])
    if message.payload is not None:
        yield from _payload_field(message.payload)


def _payload_field(payload: Payload) -> list[Chunk]:
    match payload.kind:
        case Kind.BIN_DATA:
            return length_field(_BIN, [payload.value])
        case Kind.STR_DATA:
            return length_field(_STR, [text_bytes(payload.value)])
        case Kind.JSON_DATA:
            return length_field(_JSON, [write_value(payload.value)])
    if payload.kind is Kind.TENSOR:
        form = length_field(_TENSOR, write_tensor(payload.array))
    elif payload.kind is Kind.TFTENSOR:
        form = length_field(_TFTENSOR, write_tftensor(payload.array))
    else:
        form = length_field(_NDARRAY, [write_ndarray(payload.array)])
    names = b"".join(_name(text_bytes(name)) for name in payload.names)
    return length_field(_DATA, [names, *form])


def _name(text: bytes) -> bytes:
    return b"\x0a" + varint(len(text)) + text


def write_ndarray(array: Array) -> Chunk:
    """Write an array as a ``ListValue``; its numbers are doubles there.

    Raises:
        ConversionError: as `arrays.nested_of`, and where an integer has no exact double.
    """
    array = plain_array(array)
    check_list_shape(array.shape)
    if is_number(array.dtype):
        array = float64_of(array, "ndarray over gRPC")
        if array.size > _FEW:
            return write_regular(array)
    return write_list(nested_of(array))


def _write_meta(meta: Meta) -> bytes:
    message = pb.Meta(puid=meta.puid, routing=meta.routing, requestPath=meta.request_path)
    for key, value in meta.tags.items():
        message.tags[key].MergeFromString(write_value(value))
    for metric in meta.metrics:
        kind = pb.Metric.MetricType.Value(metric.type)
        message.metrics.add(key=metric.key, type=kind, value=metric.value, tags=metric.tags)
    return message.SerializeToString(deterministic=True)


def _write_status(status: Status) -> bytes:
    flag = pb.Status.FAILURE if status.failure else pb.Status.SUCCESS
    return pb.Status(code=status.code, info=status.info, reason=status.reason, status=flag).SerializeToString()


def read_message_list(data: bytes, limits: Limits = DEFAULT_LIMITS) -> list[Message]:
    """Read a ``SeldonMessageList``: 1 seldonMessages."""
    limits.check_bytes(len(data))
    parts = (field for field in scan(data, 0, len(data)) if (field.number, field.wire_type) == (1, LENGTH))
    messages = []
    for part in parts:
        messages.append(_message(data, part.start, part.stop, limits))
        limits.check_elements(len(messages))
    return messages


def write_message_list(messages: Sequence[Message]) -> bytes:
    """Write a ``SeldonMessageList``."""
    return b"".join(chunk for message in messages for chunk in length_field(1, _chunks(message)))


def read_feedback(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Feedback:
    """Read a ``Feedback``."""
    limits.check_bytes(len(data))
    parts = {1: Message(), 2: Message(), 4: Message()}
    reward = 0.0
    for field in scan(data, 0, len(data)):
        if field.number in parts and field.wire_type == LENGTH:
            parts[field.number] = _message(data, field.start, field.stop, limits)
        elif field.number == 3 and field.wire_type == FIXED32:
            reward = struct.unpack_from("<f", data, field.start)[0]
    return Feedback(parts[1], parts[2], reward, parts[4])


def write_feedback(feedback: Feedback) -> bytes:
    """Write a ``Feedback``."""
    reward = b"\x1d" + struct.pack("<f", feedback.reward) if feedback.reward else b""
    fields = ((1, feedback.request), (2, feedback.response), (4, feedback.truth))
    return reward + b"".join(chunk for number, part in fields for chunk in length_field(number, _chunks(part)))
