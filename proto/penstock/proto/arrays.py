"""numpy arrays to and from nested lists, and which dtype may become which: never a number silently changed."""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ConversionError, PayloadError

if TYPE_CHECKING:
    from .limits import Limits
    from .payload import Array, Json

# How protobuf's JSON mapping spells the numbers that JSON has no form for.
NUMBER_WORDS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}

_EXACT = 1 << 53
_FLOAT64 = np.dtype(np.float64)
_NUMBERS = {int, float}
_ONLY_FLOATS = {float}


def array_of(nested: Json, limits: Limits, *, words: bool = True) -> Array:
    """Read a nested list as JSON gives it.

    Returns:
        bool, int64 (uint64 above it) or float64 where all elements are of one kind; float64 where integers and
        floats are mixed and each integer has an exact double; else dtype object, holding the elements as they
        came: text, null, booleans beside numbers, objects, or the rows of a ragged list. With ``words`` (JSON text,
        which has no other way) numbers may be spelled ``"NaN"``, ``"Infinity"`` and ``"-Infinity"`` where all
        else is numbers.

    Raises:
        PayloadError: not a list. LimitError: too many dimensions or elements.
    """
    if isinstance(nested, np.ndarray):  # from `numbertext`
        limits.check_shape(nested.shape)
        return nested
    if not isinstance(nested, list):
        raise PayloadError(f"an ndarray is a list, not {_json_name(nested)}", code="NOT_A_LIST")
    table = _doubles(nested, limits)
    if table is not None:
        return table
    shape, flat = _regular_prefix(nested, limits)
    if not flat:
        return np.empty(shape, np.float64)
    return _typed(flat, limits, words=words).reshape(shape)


def _doubles(nested: list[Json], limits: Limits) -> Array | None:
    """What almost everyone sends, in few steps: rows of floats, all of one size; None for any other."""
    try:
        flat = list(chain.from_iterable(nested))
    except TypeError:
        return None
    if set(map(type, flat)) != _ONLY_FLOATS:
        return None
    # Of all that JSON has, only lists can have given floats.
    size = len(nested[0])
    if set(map(len, nested)) != {size}:
        return None
    limits.check_shape((len(nested), size))
    return np.array(flat, np.float64).reshape(len(nested), size)


def _regular_prefix(nested: list[Json], limits: Limits) -> tuple[list[int], list[Json]]:
    """Flatten as many levels as are regular; what is left in the flat list may itself be lists."""
    shape, flat = [len(nested)], nested
    limits.check_elements(len(flat))
    while flat and set(map(type, flat)) == {list}:
        sizes = set(map(len, flat))
        if len(sizes) != 1:
            break
        shape.append(sizes.pop())
        limits.check_shape(shape)
        flat = list(chain.from_iterable(flat))
    return shape, flat


def _typed(flat: list[Json], limits: Limits, *, words: bool) -> Array:
    types = set(map(type, flat))
    if types == {float}:
        return np.array(flat, np.float64)
    if types == {int}:
        return _integers(flat)
    if types == {bool}:
        return np.array(flat, np.bool_)
    if types <= _NUMBERS:
        return np.array(flat, np.float64) if _all_exact(flat) else _objects(flat)
    if words and str in types and types <= {str, *_NUMBERS} and all(map(_is_number, flat)):
        return _typed([NUMBER_WORDS[x] if type(x) is str else x for x in flat], limits, words=False)
    if list in types or dict in types:
        check_depth(flat, limits)
    return _objects(flat)


def _is_number(item: Any) -> bool:
    return type(item) is not str or item in NUMBER_WORDS


def _integers(flat: list[int]) -> Array:
    low, high = min(flat), max(flat)
    if low >= -(1 << 63) and high < 1 << 63:
        return np.array(flat, np.int64)
    if low >= 0 and high < 1 << 64:
        return np.array(flat, np.uint64)
    return _objects(flat)


def _all_exact(flat: list[Any]) -> bool:
    return all(type(x) is float or -_EXACT <= x <= _EXACT for x in flat)


def _objects(flat: list[Any]) -> Array:
    array = np.empty(len(flat), object)
    array[:] = flat
    return array


def check_depth(value: Json, limits: Limits) -> None:
    """Raise `LimitError` where lists and objects in ``value`` nest too deep. Not recursive: depth is what is bad."""
    level, depth = [value], 0
    while level:
        depth += 1
        lists = [item for item in level if type(item) is list]
        objects = [item.values() for item in level if type(item) is dict]
        if lists or objects:
            limits.check_nesting(depth)
        level = [item for group in chain(lists, objects) for item in group if type(item) in {list, dict}]


def is_number(dtype: np.dtype[Any]) -> bool:
    """Whether float64 can stand for this dtype: integers and floats, not bool, complex, text or object."""
    return dtype.kind in "iuf" or (dtype.kind == "V" and (dtype in _extended_floats() or _is_small_integer(dtype)))


@cache
def _extended_floats() -> frozenset[np.dtype[Any]]:
    """Those of ml_dtypes' types that float64 holds exactly and that numpy does not take for floats."""
    import ml_dtypes  # Imported when an array could be of one: a start should be short.

    names = ("bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz")
    return frozenset(np.dtype(getattr(ml_dtypes, name)) for name in names)


def _is_small_integer(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "V" and dtype in _small_integers()


@cache
def _small_integers() -> frozenset[np.dtype[Any]]:
    import ml_dtypes

    return frozenset(np.dtype(kind) for kind in (ml_dtypes.int2, ml_dtypes.uint2, ml_dtypes.int4, ml_dtypes.uint4))


def float64_of(array: Array, kind: str) -> Array:
    """The same numbers as float64.

    Raises:
        ConversionError: naming ``kind``, where the elements are no numbers, or one has no exact double.
    """
    dtype = array.dtype
    if dtype is _FLOAT64 or dtype == _FLOAT64:
        return array
    if not is_number(dtype):
        raise ConversionError(f"{kind} holds numbers only, not {_dtype_name(array)}", code="NOT_NUMERIC")
    if not is_exact_in_float64(array):
        raise ConversionError(
            f"{kind} holds doubles, and an integer of this array has none that is exact; use tftensor",
            code="NUMBER_NOT_EXACT",
        )
    # A signalling NaN of half the width becomes a quiet one, which numpy would warn of.
    with np.errstate(invalid="ignore"):
        return array.astype(np.float64)


def is_exact_in_float64(array: Array) -> bool:
    """Whether float64 holds every number of a numeric array exactly; only integers of 64 bits may be too large."""
    if array.dtype.kind not in "iu" or array.dtype.itemsize < 8 or not array.size:
        return True
    if array.min() >= -_EXACT and array.max() <= _EXACT:
        return True
    # The range check stands first: casting 2**64 back to an integer is undefined.
    doubles = array.astype(np.float64)
    top = 2.0 ** (63 if array.dtype.kind == "i" else 64)
    return bool((doubles < top).all()) and bool((doubles.astype(array.dtype) == array).all())


def nested_of(array: Array) -> list[Json]:
    """The nested list of an array of at least one dimension; numbers keep their value, bytes become text.

    Raises:
        ConversionError: where a list cannot tell the shape (no dimension, or rows of an array with no rows),
            or JSON has no form for an element.
    """
    check_list_shape(array.shape)
    if array.dtype.kind in "biu" or array.dtype == np.float64:
        return array.tolist()  # type: ignore[no-any-return]
    if array.dtype == object:
        return text_array(array).tolist()  # type: ignore[no-any-return]
    if array.dtype.kind in "US":
        return text_array(array.astype(object)).tolist()  # type: ignore[no-any-return]
    if _is_small_integer(array.dtype):
        return array.astype(np.int8).tolist()  # type: ignore[no-any-return]
    return float64_of(array, "ndarray").tolist()  # type: ignore[no-any-return]


def check_list_shape(shape: tuple[int, ...]) -> None:
    """Raise `ConversionError` where a nested list would not give ``shape`` back."""
    if not shape:
        raise ConversionError("an ndarray is a list; an array of no dimensions has no such form", code="NO_DIMENSION")
    if 0 in shape[:-1]:
        raise ConversionError(
            f"an ndarray is a list; it cannot tell the shape {list(shape)} of an empty array, tensor can",
            code="EMPTY_SHAPE",
        )


def plain_array(array: Array) -> Array:
    """An array as kinds other than tftensor can hold it: quantised integers as integers, byte strings as text."""
    if array.dtype.names:
        return array.view(array.dtype[0])
    return text_array(array) if array.dtype == object else array


def text_array(array: Array) -> Array:
    """An object array with its bytes, which JSON has not, as UTF-8 text."""
    flat = array.reshape(-1)
    if not any(isinstance(item, bytes) for item in flat):
        return array
    result = np.empty(flat.shape, object)
    result[:] = [_text(item) if isinstance(item, bytes) else item for item in flat]
    return result.reshape(array.shape)


def _text(item: bytes) -> str:
    try:
        return item.decode()
    except UnicodeDecodeError:
        raise ConversionError("a byte string of the array is not UTF-8 text", code="BAD_TEXT") from None


def _dtype_name(array: Array) -> str:
    if array.dtype != object:
        return f"{array.dtype}"
    return f"mixed elements such as {next(iter(array.reshape(-1)), None)!r:.40}"


def _json_name(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case dict():
            return "an object"
    return type(value).__name__
