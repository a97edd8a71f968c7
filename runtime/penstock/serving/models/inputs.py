"""The declared inputs of a tensor model, and a caller's arrays held against them before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.proto import ModelInputError

from .fitting import fit
from .model import TensorSpec, Work

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from penstock.proto.payload import Array


class Input(NamedTuple):
    """One input.

    Attributes:
        spec: its name, datatype and shape as told to callers; a shape of () with ``open_rank`` tells nothing.
        dtype: the numpy dtype it takes; object for text.
        open_rank: whether the model does not say how many dimensions it has.
    """

    spec: TensorSpec
    dtype: np.dtype[Any]
    open_rank: bool = False

    @property
    def where(self) -> str:
        """How errors call it."""
        return f"input {self.spec.name!r}"

    @property
    def width(self) -> int | None:
        """How many columns of a table it takes: 1 where it has one dimension, None where that is open."""
        shape = self.spec.shape
        if self.open_rank or not 1 <= len(shape) <= 2:
            return None
        if len(shape) == 1:
            return 1
        return shape[1] if shape[1] >= 0 else None

    def check(self, array: Array) -> Array:
        """The array, fit for this input.

        Raises:
            ModelInputError: another rank, another size, or elements that do not fit.
        """
        if not self.open_rank:
            self._check_shape(array.shape)
        return fit(array, self.dtype, self.where)

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        wanted = self.spec.shape
        if shape[1:] == wanted[1:] and shape and (wanted[0] < 0 or shape[0] == wanted[0]):
            return
        if len(shape) != len(wanted):
            raise ModelInputError(
                f"{self.where} takes {_dimensions(len(wanted))}, {self._form()}, "
                f"and {_dimensions(len(shape))} came: {list(shape)}"
            )
        for size, declared in zip(shape, wanted, strict=True):
            if size != declared and declared >= 0:
                raise ModelInputError(f"{self.where} takes {self._form()}, and {list(shape)} came")

    def _form(self) -> str:
        return f"{self.spec.datatype} of shape {list(self.spec.shape)} (-1 is any size)"


def _dimensions(count: int) -> str:
    return f"{count} dimension{'' if count == 1 else 's'}"


def work_of(inputs: Sequence[Input], arrays: Mapping[str, Array], *, batchable: bool) -> Work:
    """Check one array per input.

    Raises:
        ModelInputError: an input is missing or unknown, or its array does not fit.
    """
    if len(arrays) != len(inputs) or any(one.spec.name not in arrays for one in inputs):
        raise _names_differ(inputs, arrays)
    if len(inputs) == 1:
        return work_of_one(inputs[0], arrays[inputs[0].spec.name], batchable=batchable)
    values = tuple([one.check(arrays[one.spec.name]) for one in inputs])
    elements = sum(value.size for value in values)
    if not batchable:
        return Work(values, None, 1, elements)
    rows = values[0].shape[0]
    same = all(value.shape[0] == rows for value in values)
    # No rows run alone: an empty slice of an answer cannot be told from a missing one.
    key = tuple([value.shape[1:] for value in values]) if same and rows else None
    return Work(values, key, rows, elements)


def work_of_one(one: Input, array: Array, *, batchable: bool) -> Work:
    """Check the array of a model's only input; ModelInputError where it does not fit."""
    value = one.check(array)
    if not batchable:
        return Work((value,), None, 1, value.size)
    shape = value.shape
    return Work((value,), shape[1:] if shape[0] else None, shape[0], value.size)


def _names_differ(inputs: Sequence[Input], arrays: Mapping[str, Array]) -> ModelInputError:
    wanted = [one.spec.name for one in inputs]
    unknown = [name for name in arrays if name not in wanted]
    if unknown:
        return ModelInputError(f"the model has no input {unknown[0]!r:.80}; it takes {', '.join(wanted)}")
    missing = [name for name in wanted if name not in arrays]
    return ModelInputError(f"there is nothing for input {missing[0]!r}; the model takes {', '.join(wanted)}")
