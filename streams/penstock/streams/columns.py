"""A batch of JSON records read as a whole: one conversion for all their numbers, no payload for each.

It is done where every record that can be read holds plain numbers, one row of them or several, of one width: then one
array over all is what the arrays of each, put together, would be. Two things decide that and are looked at:

- the **types**: floats alone are float64, whole numbers alone int64, as for each record alone. Where both are there, a
  record of whole numbers is int64 and any other float64, which holds the whole numbers in it exactly below 2⁵³;
- the **form**: lists of one length, or lists of such lists.

Anything else (text, null, booleans, ragged or missing rows, larger whole numbers, another kind) is left to
`reading.read`, record by record. What is no JSON, or lacks a field, fails here as it would there.
"""

from __future__ import annotations

from itertools import chain
from operator import itemgetter
from struct import error as StructError  # noqa: N812  (it is one)
from struct import pack_into
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import orjson

from penstock.proto import Kind, Payload, PayloadError
from penstock.proto.jsontext import loads

from .stacking import Group

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .pointers import Pointer
    from .spec import Source

    Array = np.ndarray[Any, np.dtype[Any]]
    # Records, as places in a list of them; their rows; how many rows each has.
    _Part = tuple[Sequence[int], Array, list[int]]

# In a longer record the conversion itself is what takes time, and `proto.numbertext` is faster at it.
_LARGE: Final = 16 * 1024
_EXACT: Final = float(1 << 53)
_NUMBERS: Final = {int, float}


class Columns(NamedTuple):
    """A batch that was read as a whole.

    Attributes:
        places: the places in the batch of the records that hold rows.
        documents: these records, parsed, where they are needed again.
        are_rows: whether each of them was one row without a list around it.
        groups: their rows, in one group or, where some hold whole numbers only, in two.
        errors: of the other records, by their places.
    """

    places: list[int]
    documents: list[Any]
    are_rows: bool
    groups: list[Group]
    errors: dict[int, PayloadError]


def columns(source: Source, values: Sequence[bytes | None], *, keep_documents: bool) -> Columns | None:
    """Read a batch as a whole; None where that is not the same as one by one."""
    texts = [value for value in values if value is not None]
    if source.format is not Kind.NDARRAY or not texts or max(map(len, texts)) >= _LARGE:
        return None
    places = [place for place, value in enumerate(values) if value is not None]
    errors: dict[int, PayloadError] = {}
    documents: Iterable[Any] = map(orjson.loads, texts)
    try:
        if keep_documents or len(source.features) > 1:
            documents = list(documents)
        found = _found(source.features, documents)
    except (ValueError, KeyError, TypeError):
        places, documents, found = _carefully(source.features, places, texts, errors)
    table = _table(found)
    if table is None:
        return None
    are_rows, parts = table
    groups = [
        Group([places[at] for at in members], Payload(Kind.NDARRAY, array, source.names), counts)
        for members, array, counts in parts
    ]
    return Columns(places, list(documents) if keep_documents else [], are_rows, groups, errors)


def _found(pointers: Sequence[Pointer], documents: Iterable[Any]) -> list[Any]:
    """The features of each document; raises where one lacks them, and may where a list is on the way.

    Documents that are not needed again are gone before the next is read, which costs less than to hold them all.
    """
    values = [list(_at(pointer, documents)) for pointer in pointers]
    if len(values) > 1:
        return list(map(list, zip(*values, strict=True)))
    return values[0] if values else list(documents)


def _at(pointer: Pointer, documents: Iterable[Any]) -> Iterable[Any]:
    for key in pointer.keys:
        documents = map(itemgetter(key), documents)
    return documents


def _carefully(
    pointers: Sequence[Pointer], places: Sequence[int], texts: Sequence[bytes], errors: dict[int, PayloadError]
) -> tuple[list[int], list[Any], list[Any]]:
    """The places, documents and features of those that have features; the others' errors."""
    good: list[tuple[int, Any, Any]] = []
    for place, text in zip(places, texts, strict=True):
        try:
            document = loads(text)
            values = [pointer.get(document) for pointer in pointers]
        except PayloadError as error:
            errors[place] = error
        else:
            good.append((place, document, (values[0] if len(values) == 1 else values) if pointers else document))
    return [each[0] for each in good], [each[1] for each in good], [each[2] for each in good]


def _table(values: list[Any]) -> tuple[bool, list[_Part]] | None:
    """Whether the values are single rows; then which of them, their rows and the number of rows of each."""
    if set(map(type, values)) != {list}:
        return None
    rows, counts = values, [1] * len(values)
    flat = list(chain.from_iterable(values))
    are_rows = bool(flat) and type(flat[0]) is not list
    if not are_rows:
        rows, counts = flat, list(map(len, values))
        if set(map(type, rows)) != {list}:
            return None
        flat = list(chain.from_iterable(rows))
    if not flat or len(set(map(len, rows))) != 1 or 0 in counts:
        return None
    types = set(map(type, flat))
    array = _array(flat, is_whole=types == {int}) if types <= _NUMBERS else None
    if array is None or (types == _NUMBERS and np.abs(array).max() >= _EXACT):
        return None
    array = array.reshape(-1, len(rows[0]))
    return are_rows, _by_dtype(values, array, counts) if types == _NUMBERS else [(range(len(values)), array, counts)]


def _array(flat: list[Any], *, is_whole: bool) -> Array | None:
    """The numbers as int64 or float64; struct takes an eighth of the time of np.array, which looks at each twice."""
    array: Array = np.empty(len(flat), np.int64 if is_whole else np.float64)
    try:
        pack_into(f"{len(flat)}{'q' if is_whole else 'd'}", array.data, 0, *flat)
    except StructError:
        return None
    return array


def _by_dtype(values: list[Any], array: Array, counts: list[int]) -> list[_Part]:
    """The records of whole numbers, as such, and the others; first the one that comes first."""
    whole = [float not in set(map(type, _numbers(value))) for value in values]
    if not any(whole):
        return [(range(len(values)), array, counts)]
    rows = np.repeat(whole, counts)
    parts: list[_Part] = []
    for wanted in dict.fromkeys(whole):
        members = [at for at, each in enumerate(whole) if each is wanted]
        part = array[rows] if wanted else array[~rows]
        parts.append((members, part.astype(np.int64) if wanted else part, [counts[at] for at in members]))
    return parts


def _numbers(value: list[Any]) -> Any:
    return chain.from_iterable(value) if type(value[0]) is list else value
