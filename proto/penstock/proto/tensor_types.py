"""The dtypes of TensorFlow's ``TensorProto`` in numpy, and its values as arrays of them.

Strings are ``bytes`` objects in an object array. Quantised types are structured dtypes with one field, as in
TensorFlow. int4, uint4, int2 and uint2 take one byte an element, as numpy and TensorFlow hold them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import ml_dtypes
import numpy as np

from . import tensor_pb2
from .errors import ConversionError, PayloadError
from .values import text_bytes

if TYPE_CHECKING:
    from .payload import Array


class TensorType(NamedTuple):
    """A dtype on the wire.

    Attributes:
        number: its number. dtype: numpy's. values: the typed list that holds its values.
    """

    number: int
    dtype: np.dtype[Any]
    values: str


def _types() -> dict[str, TensorType]:
    table = (
        ("FLOAT", np.float32, "float_val"),
        ("DOUBLE", np.float64, "double_val"),
        ("INT32", np.int32, "int_val"),
        ("UINT8", np.uint8, "int_val"),
        ("INT16", np.int16, "int_val"),
        ("INT8", np.int8, "int_val"),
        ("STRING", np.object_, "string_val"),
        ("COMPLEX64", np.complex64, "scomplex_val"),
        ("INT64", np.int64, "int64_val"),
        ("BOOL", np.bool_, "bool_val"),
        ("QINT8", [("qint8", np.int8)], "int_val"),
        ("QUINT8", [("quint8", np.uint8)], "int_val"),
        ("QINT32", [("qint32", np.int32)], "int_val"),
        ("BFLOAT16", ml_dtypes.bfloat16, "half_val"),
        ("QINT16", [("qint16", np.int16)], "int_val"),
        ("QUINT16", [("quint16", np.uint16)], "int_val"),
        ("UINT16", np.uint16, "int_val"),
        ("COMPLEX128", np.complex128, "dcomplex_val"),
        ("HALF", np.float16, "half_val"),
        ("UINT32", np.uint32, "uint32_val"),
        ("UINT64", np.uint64, "uint64_val"),
        ("FLOAT8_E5M2", ml_dtypes.float8_e5m2, "float8_val"),
        ("FLOAT8_E4M3FN", ml_dtypes.float8_e4m3fn, "float8_val"),
        ("FLOAT8_E4M3FNUZ", ml_dtypes.float8_e4m3fnuz, "float8_val"),
        ("FLOAT8_E4M3B11FNUZ", ml_dtypes.float8_e4m3b11fnuz, "float8_val"),
        ("FLOAT8_E5M2FNUZ", ml_dtypes.float8_e5m2fnuz, "float8_val"),
        ("INT4", ml_dtypes.int4, "int_val"),
        ("UINT4", ml_dtypes.uint4, "int_val"),
        ("INT2", ml_dtypes.int2, "int_val"),
        ("UINT2", ml_dtypes.uint2, "int_val"),
    )
    numbers = dict(tensor_pb2.DataType.items())
    return {f"DT_{name}": TensorType(numbers[f"DT_{name}"], np.dtype(dtype), values) for name, dtype, values in table}


TYPES = _types()
"""Every dtype that carries numbers or text, by its name on the wire."""

_BY_NUMBER = {entry.number: name for name, entry in TYPES.items()}
_BY_DTYPE = {entry.dtype: name for name, entry in TYPES.items()}
VALUE_LISTS = {entry.values for entry in TYPES.values()}


def type_name(number: int) -> str:
    """The name of a dtype by its number; PayloadError where it carries no numbers or text."""
    name = _BY_NUMBER.get(number)
    if name is None:
        known = {value: key for key, value in tensor_pb2.DataType.items()}.get(number, str(number))
        raise PayloadError(f"a tftensor of dtype {known} carries no numbers or text", code="UNKNOWN_DTYPE")
    return name


def of_content(data: bytes, start: int, stop: int, entry: TensorType, shape: list[int], count: int) -> Array:
    """The values in ``tensor_content``, as a view; their bytes must be exactly what the shape takes."""
    if entry.dtype == object:
        raise PayloadError("the strings of a tftensor are in string_val, not in tensor_content", code="BAD_TENSOR")
    size = entry.dtype.itemsize
    if stop - start != count * size:
        raise PayloadError(
            f"shape {shape} takes {count * size:,} bytes of tensor_content, but {stop - start:,} came",
            code="TENSOR_SHAPE_MISMATCH",
        )
    return np.frombuffer(data, entry.dtype, count, start).reshape(shape)


def typed(values: Any, entry: TensorType) -> Array:
    """The typed list as a flat array of its dtype; a value that the dtype does not hold is refused."""
    dtype = entry.dtype
    if isinstance(values, bytes):
        return np.frombuffer(values, dtype)
    if dtype.hasobject:
        strings = np.empty(len(values), object)
        strings[:] = list(values)
        return strings
    if entry.values in ("scomplex_val", "dcomplex_val"):
        if len(values) % 2:
            raise PayloadError(f"{entry.values} has no imaginary part for its last value", code="BAD_TENSOR")
        return np.array(values, dtype.type(0).real.dtype).view(dtype)
    if entry.values == "half_val":
        return _narrow(values, np.dtype(np.uint16), entry).view(dtype)
    if entry.values == "int_val" and dtype != np.int32:
        plain = dtype[0] if dtype.names else dtype
        return _narrow(values, plain, entry).view(dtype)
    return np.array(values, dtype)


def _narrow(values: Any, dtype: np.dtype[Any], entry: TensorType) -> Array:
    wide = np.array(values, np.int32)
    low, high = _range(dtype)
    if wide.size and not (low <= wide.min() and wide.max() <= high):
        raise PayloadError(f"{entry.values} has a value outside {low} to {high}", code="VALUE_OUT_OF_RANGE")
    return wide.astype(dtype)


def _range(dtype: np.dtype[Any]) -> tuple[int, int]:
    info = ml_dtypes.iinfo(dtype)  # type: ignore[no-untyped-call]
    return int(info.min), int(info.max)


def of_values(values: Array, name: str, shape: list[int], count: int) -> Array:
    """A flat typed list in its shape; the last value repeats where it is shorter."""
    if values.size == count:
        return values.reshape(shape)
    if values.size > count or not values.size:
        raise PayloadError(
            f"shape {shape} holds {count:,} values, but {values.size:,} came in {TYPES[name].values}",
            code="TENSOR_SHAPE_MISMATCH",
        )
    if values.size == 1:
        return np.broadcast_to(values[0] if values.dtype != object else values, shape)
    filled = np.full(count, values[-1], values.dtype)
    filled[: values.size] = values
    return filled.reshape(shape)


def tf_values(array: Array) -> tuple[str, Array]:
    """The dtype name that stands for an array, and the array as that type holds it: text as bytes objects."""
    if array.dtype.kind in "SU":
        array = array.astype(object)
    if array.dtype == object:
        return "DT_STRING", _strings(array)
    native = array.dtype.newbyteorder("=")
    name = _BY_DTYPE.get(native)
    if name is None:
        raise ConversionError(f"tftensor has no dtype for numpy's {array.dtype}", code="UNKNOWN_DTYPE")
    return name, array.astype(native, copy=False)


def _strings(array: Array) -> Array:
    result = np.empty(array.size, object)
    for index, item in enumerate(array.reshape(-1)):
        if isinstance(item, str):
            result[index] = text_bytes(item)
        elif isinstance(item, bytes):
            result[index] = item
        else:
            raise ConversionError(
                f"tftensor holds numbers of one dtype or text, not mixed elements such as {item!r:.40}",
                code="MIXED_ELEMENTS",
            )
    return result.reshape(array.shape)


def content_of(array: Array) -> memoryview:
    """The bytes of an array, row by row, little-endian."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(np.uint8).data
