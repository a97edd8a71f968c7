"""TensorFlow's ``TensorProto`` to and from numpy, without TensorFlow.

The values are either in ``tensor_content``, little-endian bytes that are viewed and not copied, or in the typed
list of their dtype (``float_val``, ``int_val``, …). A typed list shorter than the shape repeats its last value
(TensorFlow's ``make_ndarray``); one single value is a broadcast view and takes no memory of its own.
Strings are ``bytes`` objects in an object array. Quantised types are structured dtypes with one field, as in
TensorFlow. int4, uint4, int2 and uint2 take one byte an element, as numpy and TensorFlow hold them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import ml_dtypes
import numpy as np
from google.protobuf.message import DecodeError

from . import tensor_pb2
from .arrays import NUMBER_WORDS, text_array
from .base64text import decode_base64, encode_base64
from .errors import ConversionError, PayloadError
from .values import text_bytes
from .wire import LENGTH, VARINT, Chunk, Field, length_field, scan, signed, varint

if TYPE_CHECKING:
    from .limits import Limits
    from .payload import Array, Json


class _Type(NamedTuple):
    number: int
    dtype: np.dtype[Any]
    values: str


def _types() -> dict[str, _Type]:
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
    return {f"DT_{name}": _Type(numbers[f"DT_{name}"], np.dtype(dtype), values) for name, dtype, values in table}


TYPES = _types()
"""Every dtype that carries numbers or text, by its name on the wire."""

_BY_NUMBER = {entry.number: name for name, entry in TYPES.items()}
_BY_DTYPE = {entry.dtype: name for name, entry in TYPES.items()}
_LISTS = {entry.values for entry in TYPES.values()}


def read_tftensor(data: bytes, start: int, stop: int, limits: Limits) -> Array:
    """Read a ``TensorProto``: a read-only view of ``data`` where the values are in ``tensor_content``."""
    dtype, shape, content = 0, [], None
    for field in scan(data, start, stop):
        match field.number, field.wire_type:
            case 1, 0:
                dtype = signed(field.value, 32)
            case 2, 2:
                shape += _read_shape(data, field, limits)
            case 4, 2:
                content = field
    name = _type_name(dtype)
    count = limits.check_shape(shape)
    if content is not None and content.stop > content.start:
        return _of_content(data, content.start, content.stop, TYPES[name], shape, count)
    try:
        message = tensor_pb2.TensorProto.FromString(data[start:stop])
    except DecodeError:
        raise PayloadError("the tftensor is no TensorProto", code="BAD_WIRE") from None
    values = getattr(message, TYPES[name].values)
    return _of_values(_typed(values, TYPES[name]), name, shape, count)


def _read_shape(data: bytes, shape: Field, limits: Limits) -> list[int]:
    sizes: list[int] = []
    for field in scan(data, shape.start, shape.stop):
        if field.number == 2 and field.wire_type == LENGTH:
            size = 0
            for part in scan(data, field.start, field.stop):
                if part.number == 1 and part.wire_type == VARINT:
                    size = signed(part.value, 64)
            sizes.append(size)
            limits.check_shape(sizes[-1:] if len(sizes) <= limits.dimensions else sizes)
        elif field.number == 3 and field.value:
            raise PayloadError("the tftensor has an unknown rank", code="UNKNOWN_RANK")
    return sizes


def _type_name(number: int) -> str:
    name = _BY_NUMBER.get(number)
    if name is None:
        known = {value: key for key, value in tensor_pb2.DataType.items()}.get(number, str(number))
        raise PayloadError(f"a tftensor of dtype {known} carries no numbers or text", code="UNKNOWN_DTYPE")
    return name


def _of_content(data: bytes, start: int, stop: int, entry: _Type, shape: list[int], count: int) -> Array:
    if entry.dtype == object:
        raise PayloadError("the strings of a tftensor are in string_val, not in tensor_content", code="BAD_TENSOR")
    size = entry.dtype.itemsize
    if stop - start != count * size:
        raise PayloadError(
            f"shape {shape} takes {count * size:,} bytes of tensor_content, but {stop - start:,} came",
            code="TENSOR_SHAPE_MISMATCH",
        )
    return np.frombuffer(data, entry.dtype, count, start).reshape(shape)


def _typed(values: Any, entry: _Type) -> Array:
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


def _narrow(values: Any, dtype: np.dtype[Any], entry: _Type) -> Array:
    wide = np.array(values, np.int32)
    low, high = _range(dtype)
    if wide.size and not (low <= wide.min() and wide.max() <= high):
        raise PayloadError(f"{entry.values} has a value outside {low} to {high}", code="VALUE_OUT_OF_RANGE")
    return wide.astype(dtype)


def _range(dtype: np.dtype[Any]) -> tuple[int, int]:
    info = ml_dtypes.iinfo(dtype)  # type: ignore[no-untyped-call]
    return int(info.min), int(info.max)


def _of_values(values: Array, name: str, shape: list[int], count: int) -> Array:
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


def write_tftensor(array: Array) -> list[Chunk]:
    """Write a ``TensorProto``, in chunks; numbers as ``tensor_content``, text as ``string_val``.

    Raises:
        ConversionError: the elements are neither numbers of one dtype nor text.
    """
    name, values = tf_values(array)
    dims = b"".join(b"\x12" + varint(len(size)) + size for size in map(_dim, values.shape))
    chunks: list[Chunk] = [b"\x08" + varint(TYPES[name].number), b"\x12" + varint(len(dims)) + dims]
    if values.dtype == object:
        chunks += [b"\x42" + varint(len(item)) + item for item in values.reshape(-1)]
    elif values.size:
        chunks += length_field(4, [content_of(values)])
    return chunks


def _dim(size: int) -> bytes:
    # A dimension of 0 is an empty message: proto3 leaves a zero out.
    return b"\x08" + varint(size) if size else b""


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


def tftensor_from_json(value: Json, limits: Limits) -> Array:
    """Read protobuf's JSON mapping of a ``TensorProto``; the names of the ``.proto`` file are accepted too."""
    if not isinstance(value, dict):
        raise PayloadError('a tftensor is {"dtype": …, "tensorShape": …, …}', code="BAD_TENSOR")
    fields = {_camel(key): item for key, item in value.items()}
    unknown = set(fields) - _JSON_FIELDS
    if unknown:
        raise PayloadError(f"a tftensor has no field {min(unknown)!r:.60}", code="UNKNOWN_FIELD")
    name = _json_type(fields.get("dtype"))
    shape = _json_shape(fields.get("tensorShape") or {}, limits)
    count = limits.check_shape(shape)
    content = fields.get("tensorContent")
    if content:
        raw = decode_base64(_text(content, "tensorContent"))
        return _of_content(raw, 0, len(raw), TYPES[name], shape, count)
    values = fields.get(_camel(TYPES[name].values)) or []
    return _of_values(_json_values(values, TYPES[name]), name, shape, count)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


_JSON_FIELDS = {_camel(name) for name in ("dtype", "tensor_shape", "version_number", "tensor_content", *_LISTS)}


def _json_type(value: Json) -> str:
    if isinstance(value, str) and value in TYPES:
        return value
    if type(value) is int:
        return _type_name(value)
    raise PayloadError(f"a tftensor of dtype {value!r:.40} carries no numbers or text", code="UNKNOWN_DTYPE")


def _json_shape(value: Json, limits: Limits) -> list[int]:
    dims = value.get("dim", []) if isinstance(value, dict) else None
    if not isinstance(dims, list) or not all(isinstance(dim, dict) for dim in dims):
        raise PayloadError('the shape of a tftensor is {"dim": [{"size": "2"}, …]}', code="BAD_TENSOR")
    if value.get("unknownRank") or value.get("unknown_rank"):
        raise PayloadError("the tftensor has an unknown rank", code="UNKNOWN_RANK")
    limits.check_shape([0] * len(dims))
    return [_integer(dim.get("size", 0)) for dim in dims]


def _integer(value: Json) -> int:
    if type(value) is int:
        return value
    if isinstance(value, str) and value.removeprefix("-").isascii() and value.removeprefix("-").isdigit():
        # int() of a long text is slow and, past 4,300 digits, an error of Python's own.
        if len(value) <= len("-18446744073709551616"):
            return int(value)
    elif isinstance(value, float) and value.is_integer():
        return int(value)
    raise PayloadError(f"{value!r:.40} is no whole number of 64 bits", code="BAD_NUMBER")


def _json_values(values: Json, entry: _Type) -> Array:
    what = _camel(entry.values)
    if entry.values == "float8_val":
        return _typed(decode_base64(_text(values, what)) if values else b"", entry)
    if not isinstance(values, list):
        raise PayloadError(f"{what} of a tftensor is a list", code="BAD_TENSOR")
    if entry.values == "string_val":
        return _typed([decode_base64(_text(item, what)) for item in values], entry)
    if entry.values == "bool_val":
        if not all(type(item) is bool for item in values):
            raise PayloadError(f"{what} of a tftensor holds true and false only", code="BAD_NUMBER")
        return np.array(values, np.bool_)
    if entry.values in ("float_val", "double_val", "scomplex_val", "dcomplex_val"):
        return _typed([_float(item) for item in values], entry)
    try:
        return _typed([_integer(item) for item in values], entry)
    except OverflowError:
        raise PayloadError(f"{what} of a tftensor has a number too large for it", code="VALUE_OUT_OF_RANGE") from None


def _float(value: Json) -> float:
    if type(value) in (int, float):
        return float(value)
    if isinstance(value, str) and value in NUMBER_WORDS:
        return NUMBER_WORDS[value]
    raise PayloadError(f"{value!r:.40} is no number", code="BAD_NUMBER")


def _text(value: Json, what: str) -> str:
    if not isinstance(value, str):
        raise PayloadError(f"{what} of a tftensor is base64 text", code="BAD_BASE64")
    return value


def tftensor_to_json(array: Array) -> Json:
    """Protobuf's JSON mapping of the ``TensorProto`` of an array."""
    name, values = tf_values(array)
    result: dict[str, Json] = {
        "dtype": name,
        "tensorShape": {"dim": [{"size": str(size)} for size in values.shape]},
    }
    if values.dtype == object:
        result["stringVal"] = [encode_base64(item) for item in values.reshape(-1)]
    elif values.size:
        result["tensorContent"] = encode_base64(content_of(values))
    return result


def plain_array(array: Array) -> Array:
    """An array as the other kinds can hold it: quantised integers as integers, byte strings as text."""
    if array.dtype.names:
        return array.view(array.dtype[0])
    return text_array(array) if array.dtype == object else array
