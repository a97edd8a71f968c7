"""Large JSON texts whose bulk is one array of numbers: that array goes straight into numpy, the rest the ordinary way.

1. Outside its strings, a JSON text has few parts; the longest stretch without a string is where the numbers are.
2. The brackets and commas of that stretch alone tell whether it is a regular nested array, and of what shape.
3. simdjson reads the numbers into one buffer. The rest of the text, with a mark in place of the array, is parsed as
   ever, and the array put where the mark is.

Whatever does not fit (a backslash, text or null among the numbers, ragged rows, whole numbers above 2**53 beside
floats, bad JSON) is left to `jsontext.loads`, whose result, or error, then counts. Seven times faster on an image of
299x299x3: 268,203 numbers without 268,203 Python objects and 89,701 lists.
"""

from __future__ import annotations

import secrets
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import simdjson

from .jsontext import loads
from .limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from .limits import Limits
    from .payload import Array, Json

_QUOTE, _COMMA, _OPEN, _CLOSE = b'",[]'
_EXACT = float(1 << 53)
# What a text of whole numbers consists of.
_WHOLE = b"-0123456789,[] \t\r\n"
# Below this size the ordinary way is as fast.
_LARGE = 16 * 1024
# A text with more strings than this is not mostly numbers.
_STRINGS = 4096
# What no caller can have sent: it is drawn anew by each process.
_MARK = f"numbers-{secrets.token_hex(16)}"
# Where the protocols have numbers; arrays elsewhere stay lists.
_PLACES = (("data", "ndarray"), ("data", "tensor", "values"), ("values",))

# A parser used again is three times faster than a fresh one, whose memory, six times the text, the system has to find
# first; one that has grown past this size is given back. Append and pop are atomic: threads never share a parser.
_KEEP = 8 * 1024 * 1024
_idle: deque[simdjson.Parser] = deque(maxlen=4)


class _Region(NamedTuple):
    start: int
    stop: int
    shape: list[int]


def loads_numbers(text: bytes, limits: Limits = DEFAULT_LIMITS) -> Json:
    """Parse JSON as `jsontext.loads` does; a large regular array of numbers may come as a numpy array.

    It does where it is the whole text, the message's ``data.ndarray`` or ``data.tensor.values``, or a tensor's
    ``values``.
    """
    limits.check_bytes(len(text))
    region = _find(text, limits) if len(text) >= _LARGE else None
    if region is None:
        return loads(text, limits)
    count = limits.check_shape(region.shape)
    array = _numbers(text[region.start : region.stop])
    # An empty list looks like a list of one.
    if array is None or array.size != count:
        return loads(text, limits)
    rest = b'%b"%b"%b' % (text[: region.start], _MARK.encode(), text[region.stop :])
    result = _placed(loads(rest, limits), array.reshape(region.shape))
    return loads(text, limits) if result is None else result


def _find(text: bytes, limits: Limits) -> _Region | None:
    """The largest stretch without strings, where it holds a regular nested array."""
    # The positions below take eight bytes for each comma and bracket.
    if b"\\" in text or text.count(b",") + 2 * text.count(b"[") > 2 * limits.elements:
        return None
    codes = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(codes == _QUOTE)
    if len(quotes) > _STRINGS or len(quotes) % 2:
        return None
    starts = np.concatenate([[0], quotes[1::2] + 1])
    stops = np.concatenate([quotes[::2], [len(text)]])
    longest = int(np.argmax(stops - starts))
    stretch = codes[starts[longest] : stops[longest]]
    marks = np.flatnonzero((stretch == _COMMA) | (stretch == _OPEN) | (stretch == _CLOSE))
    return _region(stretch, marks, int(starts[longest]), limits)


def _region(stretch: np.ndarray[Any, Any], marks: np.ndarray[Any, Any], offset: int, limits: Limits) -> _Region | None:
    structure = stretch[marks]
    opened = int(np.argmax(structure == _OPEN)) if len(structure) else 0
    structure, marks = structure[opened:], marks[opened:]
    levels = int(np.argmax(structure != _OPEN)) if len(structure) else 0
    if levels > limits.dimensions:
        return None
    expected, shape = b"", list[int]()
    for level in range(levels, 0, -1):
        unit = len(expected)
        # Behind the first element comes a comma for each further one, then the bracket that closes this level.
        behind = structure[level + unit :: unit + 1]
        closing = np.flatnonzero(behind == _CLOSE)
        if not len(closing):
            return None
        count = int(closing[0]) + 1
        shape.insert(0, count)
        expected = b"[" + b",".join([expected] * count) + b"]"
    if not shape or structure[: len(expected)].tobytes() != expected:
        return None
    return _Region(offset + int(marks[0]), offset + int(marks[len(expected) - 1]) + 1, shape)


def _numbers(text: bytes) -> Array | None:
    try:
        parser = _idle.pop()
    except IndexError:
        parser = simdjson.Parser()
    array = _buffer(parser, text)
    if len(text) <= _KEEP:
        _idle.append(parser)
    return array


def _buffer(parser: simdjson.Parser, text: bytes) -> Array | None:
    try:
        numbers = parser.parse(text)
        assert isinstance(numbers, simdjson.Array)  # noqa: S101  (it begins with a bracket)
        return _whole(numbers) if text.translate(None, _WHOLE) == b"" else _floats(numbers)
    except (TypeError, ValueError, RuntimeError):
        return None


def _whole(numbers: simdjson.Array) -> Array:
    return np.frombuffer(numbers.as_buffer(of_type="i"), np.int64)


def _floats(numbers: simdjson.Array) -> Array | None:
    array: Array = np.frombuffer(numbers.as_buffer(of_type="d"), np.float64)
    return None if np.abs(array).max(initial=0.0) >= _EXACT else array


def _placed(parsed: Json, array: Array) -> Json:
    """``parsed`` with the array in place of the mark; None where the mark is in no place for numbers."""
    if parsed == _MARK:
        return array
    for *path, last in _PLACES:
        holder = parsed
        for key in path:
            holder = holder.get(key) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and holder.get(last) == _MARK:
            holder[last] = array
            return parsed
    return None
