"""The named arrays that a tensor model gave as a Seldon payload.

An array kind is one table, with a column for each output of one dimension and the columns of each of two; jsonData
is an object with one entry per output. Text and bytes carry the table as JSON.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.proto import ConversionError, Kind, Payload, convert
from penstock.proto.arrays import float64_of, is_number, nested_of
from penstock.proto.jsontable import write_numbers, write_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.proto.payload import Array, Json

_EXACT = 1 << 53


class Outputs:
    """What one run gave; the requests that shared it share its table, and take their rows of it."""

    __slots__ = ("_arrays", "_classes", "_doubles", "_table", "_texts", "_tried")

    def __init__(self, arrays: Mapping[str, Array], classes: Mapping[str, Sequence[str]]) -> None:
        self._arrays = arrays
        self._classes = classes
        self._table: tuple[Array, tuple[str, ...]] | None = None
        self._doubles: Array | None = None
        self._texts: tuple[tuple[str, ...], list[bytes], int] | None = None
        self._tried = False

    def arrays(self, rows: slice | None) -> Mapping[str, Array]:
        """The arrays by output name, in the model's order; None is the whole run."""
        if rows is None:
            return self._arrays
        return {name: array[rows] for name, array in self._arrays.items()}

    def table(self, rows: slice | None) -> tuple[Array, tuple[str, ...]]:
        """The outputs as one table, and its column names.

        Raises:
            ConversionError: they do not make one.
        """
        if rows is None:
            return _table(self._arrays, self._classes)
        if not self._tried:
            self._tried = True
            table = _table(self._arrays, self._classes)
            # Of numbers only: else what one request's rows hold would change the dtype of another's.
            self._table = table if is_number(table[0].dtype) else None
        if self._table is None:
            return _table(self.arrays(rows), self._classes)
        return self._table[0][rows], self._table[1]

    def numbers(self, rows: slice | None) -> tuple[Array, tuple[str, ...]]:
        """As `table`; floats as float64, which all requests of the run are given from one conversion."""
        if self._doubles is None:
            array, names = self.table(rows)
            if array.dtype.kind != "f":
                return array, names
            if self._table is None:
                return float64_of(array, "the answer"), names
            self._doubles = float64_of(self._table[0], "the answer")
        assert self._table is not None  # noqa: S101  (there are doubles of it)
        return self._doubles[rows], self._table[1]

    def text(self, rows: slice | None, kind: Kind) -> bytes:
        """The JSON of a reply up to its meta, as `jsontable.write_table`; all requests of the run share its numbers.

        Returns:
            nothing where they are no table of finite floats with names.
        """
        if self._texts is None:
            self._texts = _texts(*self.numbers(None if rows is None else slice(None)))
        names, texts, columns = self._texts
        if not names:
            return b""
        return write_table(kind, names, texts if rows is None else texts[rows], columns)


def _texts(array: Array, names: tuple[str, ...]) -> tuple[tuple[str, ...], list[bytes], int]:
    """Column names, the text of each row, and how many columns there are; no names where there is no such text."""
    if array.dtype != np.float64 or array.ndim != 2 or not array.size:
        return (), [], 0
    text = write_numbers(array)
    return (names, text[2:-2].split(b"],["), array.shape[1]) if text else ((), [], 0)


def payload_of_outputs(outputs: Outputs, rows: slice | None, asked: Kind, output: Kind | None) -> Payload:
    """The payload of a reply.

    Args:
        outputs: of the run.
        rows: those of the request; None where it ran alone.
        asked: the kind of the request, which the reply takes if it can.
        output: the kind that the caller wants instead.

    Raises:
        ConversionError: the outputs do not make one table, or the kind ``output`` cannot hold it.
    """
    kind = asked if output is None else output
    if kind is Kind.JSON_DATA:
        return Payload(kind, {name: _json(array) for name, array in outputs.arrays(rows).items()})
    listed = kind is Kind.NDARRAY or kind is Kind.TENSOR
    array, names = outputs.numbers(rows) if listed else outputs.table(rows)
    if kind is Kind.NDARRAY or (output is None and kind.is_array and not is_number(array.dtype)):
        return Payload(Kind.NDARRAY, np.atleast_1d(array), names)
    if kind is Kind.TENSOR and array.dtype == np.float64:
        return Payload(kind, array, names)
    if kind.is_array:
        return convert(Payload(Kind.NDARRAY, array, names), kind)
    return convert(Payload(Kind.NDARRAY, np.atleast_1d(array), names), kind)


def _json(array: Array) -> Json:
    return nested_of(array) if array.ndim else nested_of(array.reshape(1))[0]


def _table(outputs: Mapping[str, Array], classes: Mapping[str, Sequence[str]]) -> tuple[Array, tuple[str, ...]]:
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        return array, _names_of_one(array, classes.get(name))
    _check_one_table(outputs)
    names: list[str] = []
    for name, array in outputs.items():
        names += _names(name, array, classes.get(name))
    return _joined(list(outputs.values())), tuple(names)


def _names_of_one(array: Array, classes: Sequence[str] | None) -> tuple[str, ...]:
    """As Seldon names columns: not at all below two dimensions."""
    if array.ndim < 2:
        return ()
    if classes is not None and len(classes) == array.shape[1]:
        return tuple(classes)
    return _numbered(array.shape[1])


@lru_cache(64)
def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"t:{index}" for index in range(count))


def _names(name: str, array: Array, classes: Sequence[str] | None) -> list[str]:
    if array.ndim == 1 or array.shape[1] == 1:
        return [name]
    if classes is None or len(classes) != array.shape[1]:
        classes = [str(index) for index in range(array.shape[1])]
    return [f"{name}:{label}" for label in classes]


def _check_one_table(outputs: Mapping[str, Array]) -> None:
    arrays = outputs.values()
    if all(array.ndim in (1, 2) for array in arrays) and len({len(array) for array in arrays}) == 1:
        return
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in outputs.items())
    raise ConversionError(
        f"the model's outputs ({shapes}) do not make one table; send jsonData or use the Open Inference Protocol",
        code="NOT_A_TABLE",
    )


def _joined(arrays: list[Array]) -> Array:
    """Side by side, as float64 where that holds every number exactly, else each element as it is."""
    parts = [array if array.ndim == 2 else array[:, None] for array in arrays]
    if all(is_number(part.dtype) and _is_exact(part) for part in parts):
        width = sum(part.shape[1] for part in parts)
        table = np.empty((len(parts[0]), width), np.float64)
        at = 0
        for part in parts:
            table[:, at : at + part.shape[1]] = part
            at += part.shape[1]
        return table
    return np.concatenate([_as_objects(part) for part in parts], axis=1)


def _is_exact(part: Array) -> bool:
    if part.dtype.kind not in "iu" or part.dtype.itemsize < 8 or not part.size:
        return True
    return bool(part.max() <= _EXACT and part.min() >= -_EXACT)


def _as_objects(part: Array) -> Array:
    objects = np.empty(part.shape, object)
    plain: list[list[Any]] = part.tolist()
    for index, row in enumerate(plain):
        objects[index, :] = row
    return objects
