"""An array of the caller's as the dtype that a model's input has, where that changes no value.

float64 to float32 is the one rounding allowed: payloads carry doubles, models want floats. Integers and booleans may
become floats; floats become integers only where they are whole; text never becomes a number, nor a number text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.proto import ModelInputError
from penstock.proto.arrays import is_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.proto.payload import Array


_EXACT = 1 << 53


def fit(array: Array, dtype: np.dtype[Any], where: str) -> Array:
    """Check that ``array`` may become ``dtype``.

    Returns:
        The array itself where a float input gets numbers, since `joined` converts those for a whole run at once;
        else the converted array.

    Raises:
        ModelInputError: ``where`` names the input, the text the first element that does not fit.
    """
    if dtype.kind == "f" and array.dtype.kind in "fiub":
        return array
    if dtype.kind == "O":
        return _text(array, where)
    if array.dtype.kind in "OUS":
        array = _numbers(array, where)
    if dtype.kind == "f":
        if is_number(array.dtype):
            return array
        raise ModelInputError(f"{where} takes numbers, not {array.dtype}")
    return _whole(array, dtype, where)


def joined(parts: Sequence[Array], dtype: np.dtype[Any], where: str) -> Array:
    """The arrays of all requests of a run, which passed `fit`, below each other and as ``dtype``: one copy for both.

    Raises:
        ModelInputError: a number is too large for the floats of the model.
    """
    if all(part.dtype == dtype for part in parts):
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
    try:
        with np.errstate(over="raise"):
            # Unsafe, as `fit` has seen to what may become what.
            return np.concatenate(parts, dtype=dtype, casting="unsafe") if len(parts) > 1 else parts[0].astype(dtype)
    except FloatingPointError:
        raise ModelInputError(f"{where} takes {dtype} numbers, and one of these is larger than any") from None


def _whole(array: Array, dtype: np.dtype[Any], where: str) -> Array:
    if array.dtype == dtype:
        return array
    if array.dtype.kind not in "biuf":
        raise ModelInputError(f"{where} takes whole numbers ({dtype}), not {array.dtype}")
    if array.size == 0:
        return array.astype(dtype)
    if array.dtype.kind == "f" and not (np.isfinite(array) & (np.trunc(array) == array)).all():
        wrong = array[~(np.isfinite(array) & (np.trunc(array) == array))].reshape(-1)[0]
        raise ModelInputError(f"{where} takes whole numbers ({dtype}), and {wrong!s} is none")
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    # Compared as Python integers: numpy would round the bounds of int64 to doubles.
    smallest, largest = int(array.min()), int(array.max())
    if smallest < low or largest > high:
        wrong = smallest if smallest < low else largest
        raise ModelInputError(f"{where} takes {dtype} numbers from {low} to {high}, and {wrong} is outside")
    return array.astype(dtype)


def _numbers(array: Array, where: str) -> Array:
    """Numbers that came in an object array: null and text among them are refused by name."""
    for index, item in np.ndenumerate(array):
        if not isinstance(item, bool | int | float | np.number | np.bool_):
            raise ModelInputError(f"{where} takes numbers, and at {list(index)} there is {_name(item)}")
        if isinstance(item, int) and abs(item) > _EXACT:
            raise ModelInputError(f"{where} takes numbers, and {_name(item)} at {list(index)} has no exact double")
    return array.astype(np.float64)


def _text(array: Array, where: str) -> Array:
    if array.dtype.kind == "U":
        return array.astype(object)
    result = np.empty(array.shape, object)
    for index, item in np.ndenumerate(array):
        result[index] = _as_text(item, where, index)
    return result


def _as_text(item: Any, where: str, index: tuple[int, ...]) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, bytes):
        try:
            return item.decode()
        except UnicodeDecodeError:
            raise ModelInputError(f"{where} takes text, and the bytes at {list(index)} are not UTF-8") from None
    raise ModelInputError(f"{where} takes text, and at {list(index)} there is {_name(item)}")


def _name(item: Any) -> str:
    if item is None:
        return "null"
    if isinstance(item, list):
        return "a list: the rows are not of one length"
    plain = item.item() if isinstance(item, np.generic) else item
    return f"{plain!r:.40}"
