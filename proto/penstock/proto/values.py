"""``google.protobuf.Value``, ``ListValue`` and ``Struct`` in wire bytes, to and from Python's JSON values.

Written out instead of going through protobuf's objects: each of those costs about 4 µs to build and read, and a
list of 2-byte values would take 25 times its size in memory. Numbers are doubles on the wire, so they are floats
here; integers are written where a double holds them exactly and refused where it does not.

Field numbers: Value 1 null, 2 number, 3 string, 4 bool, 5 struct, 6 list; ListValue 1 values;
Struct 1 fields (a map entry: 1 key, 2 value).
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

from .errors import ConversionError, PayloadError
from .wire import LENGTH, Field, scan, text_at, varint

if TYPE_CHECKING:
    from .limits import Limits
    from .payload import Json

_DOUBLE = Struct("<d")
_NUMBER_IN_LIST = b"\x0a\x09\x11"
_EXACT = 1 << 53
_MISSING = object()


def read_value(data: bytes, start: int, stop: int, limits: Limits) -> Json:
    """Read a ``Value``. An empty one, of no kind, is refused as protobuf's JSON mapping does."""
    return _Reader(data, limits).value(start, stop, 0)


def read_list(data: bytes, start: int, stop: int, limits: Limits) -> list[Json]:
    """Read a ``ListValue``."""
    return _Reader(data, limits).values(start, stop, 1)


class _Reader:
    """One pass over nested values, counting elements so that the limit holds before memory is taken."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        self._data = data
        self._limits = limits
        self._count = 0

    def value(self, start: int, stop: int, depth: int) -> Json:
        result: Any = _MISSING
        for field in scan(self._data, start, stop):
            result = self._kind(field, depth, result)
        if result is _MISSING:
            raise PayloadError("a value has no kind: it is neither null, number, text nor list", code="EMPTY_VALUE")
        return result

    def _kind(self, field: Field, depth: int, former: Any) -> Any:
        data = self._data
        match field.number, field.wire_type:
            case 2, 1:
                return _DOUBLE.unpack_from(data, field.start)[0]
            case 3, 2:
                return text_at(data, field, "a text value")
            case 4, 0:
                return field.value != 0
            case 1, 0:
                return None
            case 5, 2:
                return self._fields(field.start, field.stop, depth + 1)
            case 6, 2:
                return self.values(field.start, field.stop, depth + 1)
        return former

    def values(self, start: int, stop: int, depth: int) -> list[Json]:
        self._limits.check_nesting(depth)
        data, result, at = self._data, [], start
        unpack = _DOUBLE.unpack_from
        while at < stop:
            # Almost every element of a list is a plain number: eleven bytes of a known form.
            if data[at : at + 3] == _NUMBER_IN_LIST and at + 11 <= stop:
                result.append(unpack(data, at + 3)[0])
                at += 11
            else:
                field = next(scan(data, at, stop))
                if field.number == 1 and field.wire_type == LENGTH:
                    result.append(self.value(field.start, field.stop, depth))
                at = field.stop
        self._add(len(result))
        return result

    def _fields(self, start: int, stop: int, depth: int) -> dict[str, Json]:
        self._limits.check_nesting(depth)
        result = {}
        for entry in scan(self._data, start, stop):
            if entry.number != 1 or entry.wire_type != LENGTH:
                continue
            key, value = "", None
            for field in scan(self._data, entry.start, entry.stop):
                if field.number == 1 and field.wire_type == LENGTH:
                    key = text_at(self._data, field, "a key")
                elif field.number == 2 and field.wire_type == LENGTH:
                    value = self.value(field.start, field.stop, depth)
            result[key] = value
            self._add(1)
        return result

    def _add(self, count: int) -> None:
        self._count += count
        self._limits.check_elements(self._count)


def write_value(value: Json) -> bytes:
    """Write a ``Value``.

    Raises:
        ConversionError: an integer that no double holds, or a type that JSON does not know.
    """
    match value:
        case None:
            return b"\x08\x00"
        case bool():
            return b"\x20\x01" if value else b"\x20\x00"
        case float():
            return b"\x11" + _DOUBLE.pack(value)
        case int():
            return b"\x11" + _DOUBLE.pack(exact_double(value))
        case str():
            text = text_bytes(value)
            return b"\x1a" + varint(len(text)) + text
        case dict():
            body = b"".join(_entry(key, item) for key, item in value.items())
            return b"\x2a" + varint(len(body)) + body
        case list() | tuple():
            body = write_list(value)
            return b"\x32" + varint(len(body)) + body
    raise ConversionError(f"a value of type {type(value).__name__} has no JSON form", code="NOT_JSON")


def write_list(values: list[Json] | tuple[Json, ...]) -> bytes:
    """Write a ``ListValue``."""
    items = [write_value(value) for value in values]
    return b"".join(part for item in items for part in (b"\x0a", varint(len(item)), item))


def _entry(key: object, value: Json) -> bytes:
    if not isinstance(key, str):
        raise ConversionError(f"key {key!r} is not text; keys of JSON objects are", code="NOT_JSON")
    name, item = text_bytes(key), write_value(value)
    body = b"".join((b"\x0a", varint(len(name)), name, b"\x12", varint(len(item)), item))
    return b"\x0a" + varint(len(body)) + body


def exact_double(value: int) -> float:
    """``value`` as a double, where that is exact."""
    if -_EXACT <= value <= _EXACT:
        return float(value)
    try:
        number = float(value)
    except OverflowError:
        number = 0.0
    if int(number) != value:
        raise ConversionError(
            f"{value} has no exact double, the only number this form knows; send it as tftensor or as JSON",
            code="NUMBER_NOT_EXACT",
        )
    return number


def text_bytes(text: str) -> bytes:
    """UTF-8 of a text; a lone surrogate is refused."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ConversionError("a text has a lone surrogate, which UTF-8 cannot hold", code="BAD_TEXT") from None


__all__ = ["exact_double", "read_list", "read_value", "text_bytes", "write_list", "write_value"]
