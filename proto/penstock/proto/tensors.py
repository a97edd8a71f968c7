"""Seldon's ``Tensor``: a shape and float64 values, in wire bytes and in JSON.

Wire: 1 shape (int32, packed), 2 values (double, packed). The packed values of a received message are viewed,
not copied. JSON: ``{"shape": [2, 2], "values": [1, 2, 3, 4]}``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from .arrays import array_of, float64_of
from .errors import PayloadError
from .jsontext import json_array
from .wire import FIXED64, LENGTH, VARINT, Chunk, Field, length_field, read_varint, scan, signed, varint

if TYPE_CHECKING:
    from .limits import Limits
    from .payload import Array, Json

_DOUBLE = np.dtype("<f8")
_SHAPE_TAG, _VALUES_TAG = 1 << 3 | LENGTH, 2 << 3 | LENGTH
_INT32_MAX = (1 << 31) - 1
# Up to here a copy takes less time than the view that would save it.
_FEW = 512


def read_tensor(data: bytes, start: int, stop: int, limits: Limits) -> Array:
    """Read a ``Tensor``: a float64 array, a read-only view of ``data`` where the values are packed in one run."""
    array = _packed(data, start, stop, limits)
    if array is not None:
        return array
    shape: list[int] = []
    runs: list[Array] = []
    for field in scan(data, start, stop):
        if field.number == 1:
            _read_shape(data, field, shape, limits)
        elif field.number == 2:
            runs.append(_read_values(data, field))
    values = runs[0] if len(runs) == 1 else np.concatenate([*runs, np.empty(0)])
    return shaped(values, shape, limits)


def _packed(data: bytes, start: int, stop: int, limits: Limits) -> Array | None:
    """A tensor as all clients write it: the packed shape, the packed values, nothing else. None for any other."""
    if stop - start < 4 or data[start] != _SHAPE_TAG or data[start + 1] >= 0x80:
        return None
    at = start + 2 + data[start + 1]
    if at + 1 >= stop or data[at] != _VALUES_TAG:
        return None
    size, begin = read_varint(data, at + 1, stop)
    shape = _sizes(data[start + 2 : at])
    if begin + size != stop or shape is None or limits.check_shape(shape) * 8 != size:
        return None
    return np.ndarray(shape, _DOUBLE, data, begin)


@lru_cache(256)
def _sizes(encoded: bytes) -> tuple[int, ...] | None:
    """The sizes of a packed shape; None where they are not plain."""
    sizes, at = [], 0
    try:
        while at < len(encoded):
            size, at = read_varint(encoded, at, len(encoded))
            sizes.append(signed(size, 32))
    except PayloadError:
        return None
    return tuple(sizes)


def _read_shape(data: bytes, field: Field, shape: list[int], limits: Limits) -> None:
    if field.wire_type == VARINT:
        shape.append(signed(field.value, 32))
    elif field.wire_type == LENGTH:
        at = field.start
        while at < field.stop:
            size, at = read_varint(data, at, field.stop)
            shape.append(signed(size, 32))
            if len(shape) > limits.dimensions:
                break
    limits.check_shape(shape[: limits.dimensions + 1])


def _read_values(data: bytes, field: Field) -> Array:
    count, rest = divmod(field.stop - field.start, 8)
    if field.wire_type not in (LENGTH, FIXED64) or rest:
        raise PayloadError("the values of the tensor are not whole doubles", code="BAD_WIRE")
    return np.frombuffer(data, "<f8", count, field.start)


def shaped(values: Array, shape: list[int], limits: Limits) -> Array:
    """``values`` in ``shape``; their number must be exactly the shape's product."""
    count = limits.check_shape(shape)
    if values.size != count:
        raise PayloadError(
            f"shape {shape} holds {count:,} values, but {values.size:,} came", code="TENSOR_SHAPE_MISMATCH"
        )
    return values.reshape(shape)


def write_tensor(array: Array) -> list[Chunk]:
    """Write a numeric array as a ``Tensor``, in chunks.

    Raises:
        ConversionError: not numeric, or an integer without an exact double.
    """
    values = float64_of(array, "tensor")
    if values.dtype != _DOUBLE:
        values = values.astype(_DOUBLE)
    count = values.size
    if not count:
        return [_shape_field(array.shape)]
    head = b"".join((_shape_field(array.shape), b"\x12", varint(count * 8)))
    if count <= _FEW:
        return [head, values.tobytes()]
    return [head, np.ascontiguousarray(values).reshape(-1).data.cast("B")]


@lru_cache(256)
def _shape_field(shape: tuple[int, ...]) -> bytes:
    if not shape:
        return b""
    if max(shape) > _INT32_MAX:
        raise PayloadError(f"shape {list(shape)} has a dimension above int32", code="TOO_LARGE")
    return b"".join(length_field(1, [b"".join(map(varint, shape))]))


def tensor_from_json(value: Json, limits: Limits) -> Array:
    """Read the JSON form; values may be spelled ``"NaN"`` and ``"Infinity"``."""
    if not isinstance(value, dict) or set(value) - {"shape", "values"}:
        raise PayloadError('a tensor is {"shape": […], "values": […]}', code="BAD_TENSOR")
    shape = value.get("shape", [])
    if not isinstance(shape, list) or not all(type(size) is int for size in shape):
        raise PayloadError("the shape of a tensor is a list of whole numbers", code="BAD_TENSOR")
    values = array_of(value.get("values", []), limits)
    if values.ndim != 1:
        raise PayloadError("the values of a tensor are one flat list of numbers", code="BAD_TENSOR")
    return shaped(float64_of(values, "tensor"), shape, limits)


def tensor_to_json(array: Array) -> Json:
    """The JSON form, with an array in it for `jsontext.dumps`."""
    return {"shape": list(array.shape), "values": json_array(float64_of(array, "tensor").reshape(-1))}
