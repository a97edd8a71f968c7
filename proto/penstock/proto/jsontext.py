"""JSON text to and from Python values: strict both ways, numpy arrays included.

``NaN`` and ``Infinity`` are no JSON. They are read where a number stands for them as text (see `arrays.array_of`)
and written as ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``, as in protobuf's JSON mapping.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from .errors import ConversionError, PayloadError
from .limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from .limits import Limits
    from .payload import Array, Json

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS


def loads(text: bytes | memoryview | str, limits: Limits = DEFAULT_LIMITS) -> Json:
    """Parse JSON.

    Raises:
        PayloadError: ``INVALID_JSON``, with line and column. LimitError: too many bytes or elements.
    """
    limits.check_bytes(len(text))
    if len(text) >= limits.elements and isinstance(text, bytes):
        # An upper bound on the elements, before the parser takes 32 bytes and more for each.
        limits.check_elements(text.count(b",") + 1)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise PayloadError(_explain(error) if text else "no JSON: the text is empty", code="INVALID_JSON") from None


def _explain(error: orjson.JSONDecodeError) -> str:
    if not error.doc:
        return "not JSON: the text is not UTF-8"
    if "recursion" in error.msg.lower():
        return "the JSON is nested too deep"
    return f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})"


def dumps(value: Json) -> bytes:
    """Write JSON, keys sorted; arrays as nested lists, non-finite numbers as words.

    Raises:
        ConversionError: ``NOT_JSON``, where a value has no JSON form.
    """
    try:
        return orjson.dumps(value, default=_default, option=_OPTIONS)
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise ConversionError(f"no JSON form: {error}", code="NOT_JSON") from None


def _default(value: Any) -> Any:
    if isinstance(value, np.generic):
        return number(value.item())
    raise TypeError(type(value).__name__)


def number(value: Any) -> Any:
    """A number as JSON can hold it: a non-finite one becomes its word."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def finite(value: Json) -> Json:
    """``value`` with every non-finite float as its word; the same object where there is none."""
    match value:
        case float():
            return number(value)
        case list():
            return [finite(item) for item in value]
        case dict():
            return {key: finite(item) for key, item in value.items()}
    return value


def json_array(array: Array) -> Array | list[Json]:
    """A float64, integer or bool array in the form that `dumps` writes fastest and loses nothing."""
    if array.dtype == np.float64 and not np.isfinite(array).all():
        return [finite(item) for item in array.tolist()] if array.ndim else number(array.item())
    return np.ascontiguousarray(array) if array.ndim else array.item()
