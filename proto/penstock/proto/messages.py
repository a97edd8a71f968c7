"""SeldonMessage in protobuf bytes, to and from `Message`.

Only what a prediction needs is looked at: the fields of the message are found by a scan, the numbers stay views
of the received bytes, and just the small parts (`penstock.proto.meta_messages`) go through protobuf's own parser. A
message that is data and nothing else, and data that is one array and nothing else, is known by its first byte.

Field numbers: SeldonMessage 1 status, 2 meta, 3 data, 4 binData, 5 strData, 6 jsonData, 7 customData;
DefaultData 1 names, 2 tensor, 3 ndarray, 4 tftensor; Feedback 1 request, 2 response, 3 reward, 4 truth.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from .arrays import array_of, check_list_shape, float64_of, is_number, nested_of, plain_array
from .errors import PayloadError
from .limits import DEFAULT_LIMITS
from .meta_wire import read_meta, write_meta
from .payload import Kind, Message, Meta, Payload
from .regular import read_regular, write_regular
from .tensors import read_tensor, write_tensor
from .values import read_list, read_value, text_bytes, write_list, write_value
from .wire import FIXED32, LENGTH, Chunk, Field, length_field, read_varint, scan, text_at, varint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .asides import Feedback
    from .limits import Limits
    from .payload import Array

_STATUS, _META, _DATA, _BIN, _STR, _JSON, _CUSTOM = range(1, 8)
_NAMES, _TENSOR, _NDARRAY, _TFTENSOR = range(1, 5)
_KINDS = {_DATA: "data", _BIN: "binData", _STR: "strData", _JSON: "jsonData", _CUSTOM: "customData"}
_FORMS = {_TENSOR: "tensor", _NDARRAY: "ndarray", _TFTENSOR: "tftensor"}
_FORM_KINDS = {number: Kind(form) for number, form in _FORMS.items()}
_FORM_TAGS = {number << 3 | LENGTH: number for number in _FORMS}
_DATA_TAG = _DATA << 3 | LENGTH
# Column names as they are on the wire: a model gives the same ones with every answer.
_names: dict[tuple[str, ...], bytes] = {}
_MOST_NAMES, _LONGEST_NAMES = 256, 1024


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
    if start < stop and data[start] == _DATA_TAG:
        size, begin = read_varint(data, start + 1, stop)
        if begin + size == stop:
            return Message(_default_data(data, begin, stop, limits))
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
            meta = read_meta(data[field.start : field.stop], limits)
        elif field.number == _STATUS:
            # Imported when there is one, as what reads and writes a tftensor: a start should be short.
            from .meta_messages import read_status

            status = read_status(data[field.start : field.stop])
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
    number = _FORM_TAGS.get(data[start]) if start < stop else None
    if number is not None:
        size, begin = read_varint(data, start + 1, stop)
        if begin + size == stop:
            return Payload(_FORM_KINDS[number], _array(data, number, begin, stop, limits))
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
    array = _array(data, chosen.number, chosen.start, chosen.stop, limits)
    return Payload(_FORM_KINDS[chosen.number], array, tuple(names))


def _array(data: bytes, number: int, start: int, stop: int, limits: Limits) -> Array:
    if number == _TENSOR:
        return read_tensor(data, start, stop, limits)
    if number == _TFTENSOR:
        from .tftensor import read_tftensor

        return read_tftensor(data, start, stop, limits)
    regular = read_regular(data, start, stop, limits)
    if regular is not None:
        return regular
    return array_of(read_list(data, start, stop, limits), limits, words=False)


def write_message(message: Message) -> bytes:
    """Write a ``SeldonMessage``.

    Raises:
        ConversionError: a value that this wire form cannot hold exactly, such as an integer above 2**53 in an
            ndarray, whose numbers are doubles here.
    """
    return b"".join(_chunks(message))


def _chunks(message: Message) -> list[Chunk]:
    chunks: list[Chunk] = []
    if message.status is not None:
        from .meta_messages import write_status

        chunks += length_field(_STATUS, [write_status(message.status)])
    if message.meta:
        chunks += length_field(_META, [write_meta(message.meta)])
    if message.payload is not None:
        chunks += _payload_field(message.payload)
    return chunks


def _payload_field(payload: Payload) -> list[Chunk]:
    match payload.kind:
        case Kind.TENSOR:
            return _data_field(payload.names, _TENSOR, write_tensor(payload.array))
        case Kind.NDARRAY:
            return _data_field(payload.names, _NDARRAY, [write_ndarray(payload.array)])
        case Kind.TFTENSOR:
            from .tftensor import write_tftensor

            return _data_field(payload.names, _TFTENSOR, write_tftensor(payload.array))
        case Kind.BIN_DATA:
            return length_field(_BIN, [payload.value])
        case Kind.STR_DATA:
            return length_field(_STR, [text_bytes(payload.value)])
    return length_field(_JSON, [write_value(payload.value)])


def _data_field(names: tuple[str, ...], number: int, chunks: list[Chunk]) -> list[Chunk]:
    """``data`` with the names and one form of array; all that stands before the numbers in one piece."""
    size = sum(map(len, chunks))
    head = b"".join((_names_field(names), varint(number << 3 | LENGTH), varint(size)))
    return [b"".join((varint(_DATA_TAG), varint(len(head) + size), head)), *chunks]


def _names_field(names: tuple[str, ...]) -> bytes:
    known = _names.get(names)
    if known is not None:
        return known
    field = b"".join(_name(text_bytes(name)) for name in names)
    if len(field) <= _LONGEST_NAMES:
        if len(_names) >= _MOST_NAMES:
            _names.clear()
        _names[names] = field
    return field


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
        if array.size:
            return write_regular(array)
    return write_list(nested_of(array))


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
    from .asides import Feedback

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
