"""Protobuf's JSON mapping of TensorFlow's ``TensorProto``, to and from numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .arrays import NUMBER_WORDS
from .base64text import decode_base64, encode_base64
from .errors import PayloadError
from .tensor_types import TYPES, VALUE_LISTS, TensorType, content_of, of_content, of_values, tf_values, type_name, typed

if TYPE_CHECKING:
    from .limits import Limits
    from .payload import Array, Json


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
        return of_content(raw, 0, len(raw), TYPES[name], shape, count)
    values = fields.get(_camel(TYPES[name].values)) or []
    return of_values(_json_values(values, TYPES[name]), name, shape, count)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


_JSON_FIELDS = {_camel(name) for name in ("dtype", "tensor_shape", "version_number", "tensor_content", *VALUE_LISTS)}


def _json_type(value: Json) -> str:
    if isinstance(value, str) and value in TYPES:
        return value
    if type(value) is int:
        return type_name(value)
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


def _json_values(values: Json, entry: TensorType) -> Array:
    what = _camel(entry.values)
    if entry.values == "float8_val":
        return typed(decode_base64(_text(values, what)) if values else b"", entry)
    if not isinstance(values, list):
        raise PayloadError(f"{what} of a tftensor is a list", code="BAD_TENSOR")
    if entry.values == "string_val":
        return typed([decode_base64(_text(item, what)) for item in values], entry)
    if entry.values == "bool_val":
        if not all(type(item) is bool for item in values):
            raise PayloadError(f"{what} of a tftensor holds true and false only", code="BAD_NUMBER")
        return np.array(values, np.bool_)
    if entry.values in ("float_val", "double_val", "scomplex_val", "dcomplex_val"):
        return typed([_float(item) for item in values], entry)
    try:
        return typed([_integer(item) for item in values], entry)
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
