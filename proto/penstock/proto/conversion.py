"""Any kind to any other.

Two rules make the whole matrix:

1. The three array kinds become one another as numpy arrays, where every element is held exactly.
2. The other three carry a kind's content form: binData its bytes, strData its text, jsonData its JSON value.
   So binData → ndarray reads the bytes as an ndarray's content, and ndarray → binData writes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import array_of, check_list_shape, float64_of, plain_array
from .content import decode, encode, encode_text, json_value, kind_of, value_from_json
from .errors import ConversionError, PayloadError
from .jsontext import dumps, loads
from .limits import DEFAULT_LIMITS
from .payload import Kind, Payload
from .values import text_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .limits import Limits
    from .payload import Array


def convert(payload: Payload, kind: Kind | str, *, limits: Limits = DEFAULT_LIMITS) -> Payload:
    """The same value as another kind.

    Raises:
        ConversionError: it has no exact form there; the message names both kinds and why.
        LimitError: the value is larger than ``limits`` allow.
    """
    kind = kind_of(kind)
    if kind is payload.kind:
        return payload
    try:
        return Payload(kind, _value(payload, kind, limits), payload.names if kind.is_array else ())
    except ConversionError as error:
        raise ConversionError(f"{payload.kind} to {kind}: {error.message}", code=error.code) from None
    except PayloadError as error:
        if type(error) is not PayloadError:
            raise
        raise ConversionError(f"{payload.kind} to {kind}: {error.message}", code=error.code) from None


def _value(payload: Payload, kind: Kind, limits: Limits) -> Any:
    if kind is Kind.BIN_DATA:
        return encode(payload)
    if kind is Kind.STR_DATA:
        return encode_text(payload)
    if payload.kind.is_array:
        return _json_of_array(payload) if kind is Kind.JSON_DATA else as_array(payload.array, kind)
    if payload.kind is Kind.JSON_DATA:
        return value_from_json(kind, payload.value, limits)
    if payload.kind is Kind.STR_DATA:
        return value_from_json(kind, loads(text_bytes(payload.value), limits), limits)
    return decode(kind, payload.value, limits=limits).value


def _json_of_array(payload: Payload) -> Any:
    # Through the text on purpose: it is the text that a reader will see, non-finite numbers and all.
    return loads(dumps(json_value(payload)))


def as_array(array: Array, kind: Kind) -> Array:
    """An array as the array kind ``kind`` holds it.

    Raises:
        ConversionError: an element has no exact form there, or a list cannot tell the shape.
    """
    if kind is Kind.TFTENSOR:
        # Imported when there is one: a start should be short.
        from .tensor_types import tf_values

        return tf_values(array)[1]
    array = plain_array(array)
    if kind is Kind.TENSOR:
        return float64_of(array, "tensor")
    check_list_shape(array.shape)
    if array.dtype.kind == "c":
        raise ConversionError("ndarray has no complex numbers; use tftensor", code="NOT_NUMERIC")
    return array


def payload_of(value: Any, kind: Kind | str | None = None, names: Sequence[str] = ()) -> Payload:
    """A payload of a Python value.

    Args:
        value: str is strData, bytes is binData, dict is jsonData; an array, a list or a number is an array kind.
        kind: what it shall be instead; for arrays ndarray where nothing is said.
        names: column names of an array.
    """
    if isinstance(value, Payload):
        payload = value
    elif isinstance(value, str):
        payload = Payload(Kind.STR_DATA, value)
    elif isinstance(value, bytes | bytearray | memoryview):
        payload = Payload(Kind.BIN_DATA, bytes(value))
    elif isinstance(value, dict) or value is None or (kind == Kind.JSON_DATA and not isinstance(value, np.ndarray)):
        payload = Payload(Kind.JSON_DATA, value)
    else:
        return _array_payload(value, kind, tuple(names))
    return payload if kind is None else convert(payload, kind)


def _array_payload(value: Any, kind: Kind | str | None, names: tuple[str, ...]) -> Payload:
    target = Kind.NDARRAY if kind is None else kind_of(kind)
    array = array_of(value, DEFAULT_LIMITS) if isinstance(value, list) else np.asarray(value)
    if array.dtype.kind in "US":
        array = array.astype(object)
    if target.is_array:
        return Payload(target, as_array(array, target), names)
    return convert(Payload(Kind.NDARRAY, array, names), target)
