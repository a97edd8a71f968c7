"""What a Python model returned as a payload: the kind follows the type.

str is strData, bytes is binData, dict is jsonData. An array, a list, or anything that numpy can take is data: numbers
in the request's form (tensor where the request had none), all else as an ndarray.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.proto import DEFAULT_LIMITS, ConversionError, Kind, Message, ModelError, Payload, PayloadError, convert
from penstock.proto.arrays import array_of, is_number

if TYPE_CHECKING:
    from penstock.proto.payload import Array, Json


def value_of_result(result: Any) -> Any:
    """A model's result as str, bytes, dict of JSON values, array, or a whole `Message`.

    Raises:
        ModelError: it is none of these.
    """
    if isinstance(result, np.ndarray):
        # A copy, because the model may keep the array and write the next answer into it before this one is sent.
        return result.astype(object) if result.dtype.kind in "US" else result.copy()
    if isinstance(result, str | bytes | Message):
        return result
    if isinstance(result, bytearray | memoryview):
        return bytes(result)
    if isinstance(result, dict):
        return plain(result)
    if isinstance(result, list | tuple):
        return _array_of_list(result)
    if hasattr(result, "__array__") and not isinstance(result, np.generic):
        return value_of_result(np.asarray(result))
    raise ModelError(
        f"the model returned {_article(result)}; it may return an array, a list, text, bytes or a dict",
        code="BAD_RESULT",
    )


def _article(result: Any) -> str:
    return "None" if result is None else f"a {type(result).__name__}"


def _array_of_list(result: list[Any] | tuple[Any, ...]) -> Array:
    nested = plain(list(result))
    try:
        # Not read as JSON text is: a text "NaN" that a model returned stays text.
        return array_of(nested, DEFAULT_LIMITS, words=False)
    except PayloadError as error:
        raise ModelError(f"the model's list is no array: {error.message}", code="BAD_RESULT") from None


def plain(value: Any) -> Json:
    """JSON values with numpy's numbers and arrays in them as Python's."""
    match value:
        case None | bool() | str():
            return value
        case np.generic() | np.ndarray():
            return plain(value.tolist())
        case int() | float():
            return value
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case bytes():
            return value.decode(errors="replace")
    raise ModelError(f"the model returned {_article(value)} in its result, which JSON has not", code="BAD_RESULT")


def payload_of_value(value: Any, names: tuple[str, ...], asked: Kind | None, output: Kind | None) -> Payload:
    """The payload of a reply.

    Raises:
        ConversionError: the kind ``output`` that the caller asked for cannot hold the value.
        ModelError: the value has no form that can be sent.
    """
    payload = _natural(value, names, asked)
    if output is not None:
        return convert(payload, output)
    return payload


def _natural(value: Any, names: tuple[str, ...], asked: Kind | None) -> Payload:
    if isinstance(value, str):
        return Payload(Kind.STR_DATA, value)
    if isinstance(value, bytes):
        return Payload(Kind.BIN_DATA, value)
    if isinstance(value, dict):
        return Payload(Kind.JSON_DATA, value)
    if not is_number(value.dtype):
        return _ndarray(value, names)
    if asked is Kind.NDARRAY:
        return _ndarray(value, names)
    try:
        return convert(Payload(Kind.NDARRAY, value, names), asked if asked is Kind.TFTENSOR else Kind.TENSOR)
    except ConversionError as error:
        raise ModelError(f"the model's answer cannot be sent: {error.message}", code=error.code) from None


def _ndarray(array: Array, names: tuple[str, ...]) -> Payload:
    # A list has at least one dimension.
    array = np.atleast_1d(array)
    if array.dtype.kind not in "biufO" and not is_number(array.dtype):
        raise ModelError(f"the model returned an array of {array.dtype}, which no payload holds", code="BAD_RESULT")
    return Payload(Kind.NDARRAY, array, names)


def names_of(array: Any, class_names: Any) -> tuple[str, ...]:
    """Column names: the model's ``class_names``, else ``t:0`` and so on; none below two dimensions."""
    if not isinstance(array, np.ndarray) or array.ndim < 2:
        return ()
    if class_names is not None:
        return tuple(str(name) for name in class_names)
    return tuple(f"t:{index}" for index in range(array.shape[1]))
