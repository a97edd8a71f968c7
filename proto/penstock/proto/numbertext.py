"""Large JSON texts whose bulk is one array of numbers: that array goes straight into numpy, the rest the ordinary way.

1. The array begins behind a key of the protocols (or it is the whole text), and ends before the next string.
2. What is left of it without its numbers tells whether it is a regular nested array, and of what shape.
3. simdjson reads the numbers, in pieces that stay in the processor's caches: what it needs for a text, three times its
   size, is so little then that the system hardly has to find memory for it. The rest of the text, with a mark in place
   of the array, is parsed as ever, and the array put where the mark is.

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

from .errors import PayloadError
from .jsontext import loads
from .limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterator

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

# Bytes of the text that are taken at a time, and of a piece's end that tell which lists end there.
_PIECE = 128 * 1024
_TAIL = 1024
_ENDS = b"] \t\r\n"
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
    array = _numbers(text, region, count)
    if array is None:
        return loads(text, limits)
    rest = b'%b"%b"%b' % (text[: region.start], _MARK.encode(), text[region.stop :])
    try:
        parsed = loads(rest, limits)
    except PayloadError:
        return loads(text, limits)  # where it is wrong is told by its place in what came
    result = _placed(parsed, array.reshape(region.shape))
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
    marks = _without_numbers(text, start, stop)
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


def _without_numbers(text: bytes, start: int, stop: int) -> bytes:
    starts = range(start, stop, _PIECE)
    return b"".join([text[at : min(at + _PIECE, stop)].translate(None, _OF_NUMBERS) for at in starts])


def _numbers(text: bytes, region: _Region, count: int) -> Array | None:
    """The numbers of the region, flat; None where they are not ``count``, or one has no exact value."""
    try:
        parser = _idle.pop()
    except IndexError:
        # Imported when a large text comes: a start should be short.
        import simdjson

        parser = simdjson.Parser()
    try:
        array, largest = _read(parser, text, region, count)
    except (TypeError, ValueError, RuntimeError):
        array, largest = None, region.stop - region.start
    if largest <= _KEEP:
        _idle.append(parser)
    return array


def _read(parser: simdjson.Parser, text: bytes, region: _Region, count: int) -> tuple[Array | None, int]:
    """The numbers, and the bytes of the largest piece."""
    is_whole = all(text.find(mark, region.start, region.stop) < 0 for mark in (b".", b"e", b"E"))
    array: Array = np.empty(count, np.int64 if is_whole else np.float64)
    at = largest = 0
    for piece in _pieces(text, region):
        some = _some(parser, piece, is_whole=is_whole)
        array[at : at + some.size] = some  # ValueError where there are more than there should be
        at += some.size
        largest = max(largest, len(piece))
    # An empty list looks like a list of one.
    return array if at == count and (is_whole or _are_exact(array)) else None, largest


def _pieces(text: bytes, region: _Region) -> Iterator[bytes]:
    """The region cut at commas, its lists closed before and opened behind: each piece is an array of its numbers."""
    start, stop, view, opening = region.start, region.stop, memoryview(text), b""
    while stop - start > _PIECE and (comma := text.rfind(b",", start, start + _PIECE)) >= 0:
        tail = text[max(start, comma - _TAIL) : comma]
        still_open = len(region.shape) - tail.count(b"]", len(tail.rstrip(_ENDS)))
        yield b"".join((opening, view[start:comma], b"]" * still_open))
        start, opening = comma + 1, b"[" * still_open
    yield b"".join((opening, view[start:stop]))


def _some(parser: simdjson.Parser, text: bytes, *, is_whole: bool) -> Array:
    # What the parser gives must be gone before it parses again.
    numbers = cast("simdjson.Array", parser.parse(text))  # it begins with a bracket
    return np.frombuffer(numbers.as_buffer(of_type="i" if is_whole else "d"), np.int64 if is_whole else np.float64)


def _are_exact(array: Array) -> bool:
    return not array.size or bool(array.min() > -_EXACT and array.max() < _EXACT)


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
