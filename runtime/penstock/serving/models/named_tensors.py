"""The named tensors of the Open Inference Protocol for a Python model, which knows one value and column names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.proto import DEFAULT_LIMITS, ModelError, ModelInputError
from penstock.proto.arrays import array_of
from penstock.proto.inference import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

_OUTPUT = "output"


def features_of(inputs: Sequence[Tensor]) -> tuple[Any, tuple[str, ...]]:
    """The features and their names: one tensor as it is, several columns as one table, anything else by name.

    Raises:
        ModelInputError: there is no tensor, or one is there twice.
    """
    names = tuple(tensor.name for tensor in inputs)
    if not inputs:
        raise ModelInputError("the request has no inputs")
    if len(set(names)) != len(names):
        raise ModelInputError("an input is there twice")
    if len(inputs) == 1:
        return inputs[0].array, ()
    arrays = [tensor.array for tensor in inputs]
    rows = {array.shape[0] if array.ndim else -1 for array in arrays}
    if len(rows) == 1 and all(array.ndim == 1 or array.shape[1:] == (1,) for array in arrays):
        columns = [array.reshape(-1, 1) for array in arrays]
        kinds = {"O" if column.dtype == object else "n" for column in columns}
        return np.concatenate(columns if len(kinds) == 1 else [c.astype(object) for c in columns], axis=1), names
    return dict(zip(names, arrays, strict=True)), ()


def tensors_of_value(value: Any, names: Sequence[str]) -> list[Tensor]:
    """A model's result as tensors; the first is named as the metadata says, ``output`` where it does not."""
    if isinstance(value, dict):
        return [Tensor(key, _array(key, item)) for key, item in value.items()]
    return [Tensor(names[0] if names else _OUTPUT, _array(_OUTPUT, value))]


def _array(name: str, value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, str | bytes):
        texts = np.empty(1, object)
        texts[0] = value
        return texts
    array = array_of(value, DEFAULT_LIMITS) if isinstance(value, list) else np.asarray([value])
    if array.dtype == object and not all(isinstance(item, str | bytes) for item in array.reshape(-1)):
        raise ModelError(f"the model's {name!r:.80} is no tensor: its elements are of several types", code="BAD_RESULT")
    return array
