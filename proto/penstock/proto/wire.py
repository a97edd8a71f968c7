"""Protobuf's wire format: finding a field in received bytes without parsing the rest, and writing fields.

Source of the rules: protobuf's encoding document. A message is a run of fields, each a varint tag
(``number << 3 | wire type``) and a value; groups (wire types 3 and 4) are not accepted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5

_MASK_64 = (1 << 64) - 1
_VARINT_BYTES = 10
_ONE_BYTE = [bytes((value,)) for value in range(0x80)]


class Field(NamedTuple):
    """One field of a message.

    ``start`` and ``stop`` delimit its value in the scanned bytes; ``value`` is the number of a VARINT, else 0.
    """

    number: int
    wire_type: int
    start: int
    stop: int
    value: int


def read_varint(data: bytes, at: int, stop: int) -> tuple[int, int]:
    """Read the varint at ``at``; return it (unsigned, 64 bits) and the offset behind it."""
    if at < stop and data[at] < 0x80:
        return data[at], at + 1
    value = shift = 0
    for index in range(at, min(stop, at + _VARINT_BYTES)):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MASK_64, index + 1
        shift += 7
    raise PayloadError(f"the message is cut off or has a broken number at byte {at}", code="BAD_WIRE")


def scan(data: bytes, start: int, stop: int) -> Iterator[Field]:
    """Yield the fields of the message in ``data[start:stop]``, in order.

    Raises:
        PayloadError: ``BAD_WIRE`` where the bytes are no protobuf message.
    """
    at = start
    while at < stop:
        # Almost all tags and sizes are one byte; a call of `read_varint` for each would take as long as all the rest.
        tag = data[at]
        if tag < 0x80:
            at += 1
        else:
            tag, at = read_varint(data, at, stop)
        number, wire_type = tag >> 3, tag & 7
        value = 0
        begin = at
        if wire_type == LENGTH:
            if at < stop and data[at] < 0x80:
                begin = at + 1
                at = begin + data[at]
            else:
                size, begin = read_varint(data, at, stop)
                at = begin + size
        elif wire_type == VARINT:
            value, at = read_varint(data, at, stop)
        elif wire_type == FIXED64:
            at += 8
        elif wire_type == FIXED32:
            at += 4
        else:
            raise PayloadError(f"the message has a field of unknown wire type {wire_type}", code="BAD_WIRE")
        if at > stop or not 0 < number < 1 << 29:
            raise PayloadError(f"the message is cut off or broken in field {number}, byte {begin}", code="BAD_WIRE")
        # Field(…) would do the same, through a function in Python that takes three times as long.
        yield tuple.__new__(Field, (number, wire_type, begin, at, value))


def text_at(data: bytes, field: Field, what: str) -> str:
    """The UTF-8 text of a LENGTH field; ``what`` names it in the error."""
    try:
        return data[field.start : field.stop].decode()
    except UnicodeDecodeError as error:
        raise PayloadError(f"{what} is not UTF-8 text (byte {error.start})", code="BAD_TEXT") from None


def signed(value: int, bits: int) -> int:
    """A varint as a two's-complement number of ``bits`` bits, truncated as protobuf does."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def varint(value: int) -> bytes:
    """Encode an integer; a negative one takes ten bytes, as protobuf's int32 and int64 do."""
    if 0 <= value < 0x80:
        return _ONE_BYTE[value]
    if 0 <= value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    value &= _MASK_64
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


Chunk = bytes | memoryview


def length_field(number: int, chunks: Sequence[Chunk]) -> list[Chunk]:
    """A LENGTH field whose value is the concatenation of ``chunks``; nothing is copied yet."""
    return [varint(number << 3 | LENGTH) + varint(sum(map(len, chunks))), *chunks]
