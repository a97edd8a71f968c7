"""What onnxruntime gives for one output as an array: tensors as they are, scikit-learn's probabilities as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from penstock.proto import ModelLoadError

from .datatypes import ELEMENTS, element_of
from .model import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.proto.payload import Array


class Output(NamedTuple):
    """One output.

    Attributes:
        spec: its name, datatype and shape as told to callers.
        dtype: what the values of maps become; None for a tensor.
        classes: the keys of the maps, as text, once a run has shown them.
    """

    spec: TensorSpec
    dtype: np.dtype[Any] | None = None
    classes: tuple[str, ...] = ()

    def array(self, value: Any) -> Array:
        """The output as an array; of a sequence of maps, a row for each map and a column for each key."""
        if self.dtype is None:
            return value  # type: ignore[no-any-return]
        rows = [list(one.values()) for one in value]
        return np.array(rows, self.dtype).reshape(len(rows), len(rows[0]) if rows else len(self.classes))

    def shown(self, value: Any) -> Output:
        """The same with the classes that a first answer shows."""
        if self.dtype is None or not value:
            return self
        classes = tuple(str(key) for key in value[0])
        return self._replace(spec=self.spec._replace(shape=(-1, len(classes))), classes=classes)


def output_of(name: str, declared: str, shape: Sequence[Any]) -> Output:
    """An output as onnxruntime declares it: a tensor, or scikit-learn's ``seq(map(int64,tensor(float)))``.

    Raises:
        ModelLoadError: any other type.
    """
    element = element_of(declared)
    if element is not None:
        return Output(TensorSpec(name, element[1], sizes_of(shape)))
    if declared.startswith("seq(map("):
        values = element_of(declared.removeprefix("seq(map(").removesuffix("))").partition(",")[2])
        dtype, datatype = values or ELEMENTS["float"]
        return Output(TensorSpec(name, datatype, (-1, -1)), dtype)
    raise ModelLoadError(f"output {name!r} is a {declared}, which has no form on the wire")


def sizes_of(shape: Sequence[Any]) -> tuple[int, ...]:
    """A declared shape with -1 for what is open: a symbol, or nothing."""
    return tuple(size if isinstance(size, int) else -1 for size in shape)
