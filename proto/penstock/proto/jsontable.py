"""SeldonMessages that almost everyone sends and gets in JSON, in few steps: one table of numbers.

What is read and written here is what `jsonform` reads and writes, which knows all forms; what is no such message,
malformed or not, is left to it.
"""

from __future__ import annotations

import string
from array import array
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson

from .errors import PayloadError
from .jsontext import dumps
from .numbertext import loads_numbers
from .payload import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .limits import Limits
    from .payload import Array

# Above the first, `numbertext` reads the numbers faster than they can be made Python's; above the other the steps
# besides matter little, but what is no table would be read twice.
_FEW_BYTES, _MOST_BYTES = 4 * 1024, 16 * 1024
_EXACT = 1 << 53
_NUMBERS = {int, float}
# Leaves of a text what does not stand for itself in JSON or in a header.
_PLAIN = dict.fromkeys(map(ord, set(string.ascii_letters + string.digits + string.punctuation) - set('"\\')))
# Column names as they are in the text: a model gives the same ones with every answer.
_beginnings: dict[tuple[tuple[str, ...], Kind], bytes] = {}
_MOST_BEGINNINGS, _LONGEST_BEGINNING = 256, 1024


class Table(NamedTuple):
    """A message that is a table: it has neither tags nor metrics nor a path.

    Attributes:
        kind: `Kind.NDARRAY` or `Kind.TENSOR`.
        numbers: float64 of shape [rows, columns], neither of them 0.
        puid: empty where it has none; else it is of characters that stand for themselves in JSON and in a header.
    """

    kind: Kind
    numbers: Array
    puid: str


def read_table(text: bytes, limits: Limits) -> Table | None:
    """The table that a message is; None for any other message, and for what is none."""
    if len(text) > _MOST_BYTES:
        return None
    try:
        value: Any = orjson.loads(text) if len(text) <= _FEW_BYTES else loads_numbers(text, limits)
        data = value["data"]
        puid = "" if len(value) == 1 else _puid(value)
        names = data.get("names", [])
        if puid is None or len(data) != ("names" in data) + 1 or not _are_text(names):
            return None
        # How many quotation marks there are where no text but the keys' is in the message.
        quotes = 2 * (len(value) + len(data)) if not (puid or names) else 0
        if "ndarray" in data:
            return _of_rows(text, quotes, data["ndarray"], puid, limits)
        return _of_tensor(text, quotes + 4, data["tensor"], puid, limits)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, PayloadError):
        return None


def _puid(value: dict[str, Any]) -> str | None:
    """What ``meta`` says, where that is nothing else; None where there is more in the message."""
    if len(value) != 2:
        return None
    meta = value["meta"]
    if meta == {}:
        return ""
    puid: str = meta["puid"]
    is_plain = len(meta) == 1 and type(puid) is str and not puid.translate(_PLAIN)
    return puid if is_plain else None


def _of_rows(text: bytes, quotes: int, rows: Any, puid: str, limits: Limits) -> Table | None:
    if isinstance(rows, np.ndarray):
        return Table(Kind.NDARRAY, rows, puid) if rows.ndim == 2 and rows.dtype == np.float64 else None
    size = len(rows[0]) if type(rows) is list and rows else 0
    if not size or set(map(type, rows)) != {list}:
        return None
    flat = rows[0]
    if len(rows) > 1:
        if set(map(len, rows)) != {size}:
            return None
        flat = list(chain.from_iterable(rows))
    numbers = _numbers(text, quotes, flat, limits)
    return None if numbers is None else Table(Kind.NDARRAY, numbers.reshape(len(rows), size), puid)


def _of_tensor(text: bytes, quotes: int, tensor: dict[str, Any], puid: str, limits: Limits) -> Table | None:
    shape, flat = tensor["shape"], tensor["values"]
    if len(tensor) != 2 or type(shape) is not list or len(shape) != 2:
        return None
    rows, size = shape
    if not (type(rows) is type(size) is int and rows > 0 and size > 0 and rows * size == len(flat)):
        return None
    if isinstance(flat, np.ndarray):
        numbers = flat if flat.ndim == 1 and flat.dtype == np.float64 else None
    else:
        numbers = _numbers(text, quotes, flat, limits) if type(flat) is list else None
    return None if numbers is None else Table(Kind.TENSOR, numbers.reshape(rows, size), puid)


def _numbers(text: bytes, quotes: int, flat: list[Any], limits: Limits) -> Array | None:
    """The elements as doubles; None where one is no number, or has no exact double."""
    if len(flat) > limits.elements:
        return None
    # A number with a point in it is a float: only where there are others is each one looked at. (A key that is there
    # twice has numbers that are not among these.)
    all_floats = text.count(b".") == len(flat) and text.count(b'"') == quotes
    if not all_floats and not _are_exact(flat):
        return None
    # Unlike numpy, it takes no text for a number.
    return np.frombuffer(array("d", flat))


def _are_text(names: Any) -> bool:
    return type(names) is list and (not names or set(map(type, names)) == {str})


def _are_exact(flat: list[Any]) -> bool:
    return set(map(type, flat)) <= _NUMBERS and all(type(x) is float or -_EXACT <= x <= _EXACT for x in flat)


def write_numbers(array: Array) -> bytes:
    """The elements of an array of doubles as text, as JSON has them; empty where one is not finite.

    Returns:
        of two dimensions the rows, such as ``[[1.0,2.0],[3.0,4.0]]``.
    """
    text = dumps(np.ascontiguousarray(array))
    return b"" if b"null" in text else text  # what is not finite has a word, which this is not


def write_table(kind: Kind, names: tuple[str, ...], rows: Sequence[bytes], columns: int) -> bytes:
    """The ``data`` of a message, up to where its ``meta`` follows: ``{"data":{"names":["a"],"ndarray":[[1.0]]},``.

    Args:
        kind: `Kind.NDARRAY` or `Kind.TENSOR`.
        names: of the columns, at least one.
        rows: the text of each without its brackets.
        columns: how many numbers a row has.
    """
    if kind is Kind.TENSOR:
        return b'%b{"shape":[%d,%d],"values":[%b]}},' % (beginning(names, kind), len(rows), columns, b",".join(rows))
    return b"%b[[%b]]}," % (beginning(names, kind), b"],[".join(rows))


def beginning(names: tuple[str, ...], kind: Kind) -> bytes:
    """How a message begins, up to its numbers."""
    known = _beginnings.get((names, kind))
    if known is None:
        known = b'{"data":{"names":%b,"%b":' % (dumps(names), kind.encode())
        if len(known) <= _LONGEST_BEGINNING:
            if len(_beginnings) >= _MOST_BEGINNINGS:
                _beginnings.clear()
            _beginnings[names, kind] = known
    return known


def write_meta(puid: str, request_path: bytes) -> bytes:
    """The end of a message that has no other ``meta`` than these.

    Args:
        puid: of characters that stand for themselves in JSON.
        request_path: as JSON text.
    """
    return b'"meta":{"puid":"%b","requestPath":%b}}' % (puid.encode(), request_path)


def path_text(request_path: Mapping[str, str]) -> bytes:
    """For `write_meta`."""
    return dumps(dict(request_path))
