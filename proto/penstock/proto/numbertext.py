"""Large JSON texts whose bulk is one array of numbers: that array goes straight into numpy, the rest the ordinary way.

1. The array begins behind a key of the protocols (or it is the whole text), and ends before the next string.
2. What is left of it without its numbers tells whether it is a regular nested array, and of what shape.
3. simdjson reads the numbers into one buffer. The rest of the text, with a mark in place of the array, is parsed as
   ever, and the array put where the mark is.

Whatever does not fit (a backslash, text or null among the numbers, ragged rows, whole numbers above 2**53 beside
floats, bad JSON) is left to `jsontext.loads`, whose result, or error, then counts. Seven times faster on an image of
299x299x3: 268,203 numbers without 268,203 Python objects and 89,701 lists.
"""

from __future__ import annotations

import os
import re
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from .jsontext import loads
from .limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    import simdjson

    from .limits import Limits
    from .payload import Array, Json

_EXACT = float(1 << 53)
# What is left of a text without these is how its arrays are nested.
_OF_NUMBERS = b"0123456789+-.eE \t\r\n"
# Below this size the ordinary way is as fast.
_LARGE = 2 * 1024
# Where arrays of numbers begin in the protocols, and how many of them are looked at.
_KEYS = re.compile(rb'"(?:ndarray|values|data)"[ \t\r\n]*:[ \t\r\n]*\[')
_MOST_KEYS = 64
# They stand near the beginning; to search a text to its end would take longer than to read it.
_KEYS_WITHIN = 64 * 1024
# What no caller can have sent: it is drawn anew by each process.
_MARK = f"numbers-{os.urandom(16).hex()}"
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

    It does where it is the whole text, the message's ``data.ndarray`` or ``data.tensor.values``, a tensor's
    ``values``, or the ``data`` of one of the ``inputs`` of the Open Inference Protocol.
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
    """The largest array that no string interrupts, where it is regular."""
    if b"\\" in text:
        return None
    starts = (
        [0]
        if text[:1] == b"["
        else [found.end() - 1 for found in islice(_KEYS.finditer(text, 0, _KEYS_WITHIN), _MOST_KEYS)]
    )
    best = (0, 0)
    for start in starts:
        stop = text.find(b'"', start)
        best = max(best, ((stop if stop >= 0 else len(text)) - start, start))
    size, start = best
    return _region(text, start, start + size, limits) if size else None


def _region(text: bytes, start: int, stop: int, limits: Limits) -> _Region | None:
    marks = text[start:stop].translate(None, _OF_NUMBERS)
    levels = len(marks) - len(marks.lstrip(b"["))
    if levels > limits.dimensions:
        return None
    expected, shape = b"", list[int]()
    for level in range(levels, 0, -1):
        unit = len(expected)
        # Behind the first element comes a comma for each further one, then the bracket that closes this level.
        more = marks[level + unit :: unit + 1].find(b"]") if unit else marks.find(b"]", level) - level
        if more < 0:
            return None
        shape.insert(0, more + 1)
        expected = b"[%b]" % (b",".join([expected] * (more + 1)) if unit else b"," * more)
    behind = marks.count(b"]", len(expected))  # of lists that the array is in
    if not shape or not marks.startswith(expected) or behind > limits.dimensions:
        return None
    for _ in range(behind + 1):
        stop = text.rfind(b"]", start, stop)
    return _Region(start, stop + 1, shape)


def _numbers(text: bytes) -> Array | None:
    try:
        parser = _idle.pop()
    except IndexError:
        # Imported when a large text comes: a start should be short.
        import simdjson

        parser = simdjson.Parser()
    array = _buffer(parser, text)
    if len(text) <= _KEEP:
        _idle.append(parser)
    return array


def _buffer(parser: simdjson.Parser, text: bytes) -> Array | None:
    try:
        numbers = cast("simdjson.Array", parser.parse(text))  # it begins with a bracket
        is_whole = not (b"." in text or b"e" in text or b"E" in text)
        return _whole(numbers) if is_whole else _floats(numbers)
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
    inputs = parsed.get("inputs") if isinstance(parsed, dict) else None
    for entry in inputs if isinstance(inputs, list) else ():
        if isinstance(entry, dict) and entry.get("data") == _MARK:
            entry["data"] = array
            return parsed
    return None
