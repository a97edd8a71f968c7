"""A TFLite model in LiteRT's interpreter.

Some models declare that they take any number of rows and then do not: a recurrent layer converted with one row has
that row in its loop. So what a model says is tried at the start, and where two rows fail, each row has a run of its
own. A row's answer is then the same to the last bit whatever came beside it.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]  # it has none

from penstock.proto import ModelLoadError

from .datatypes import ELEMENTS
from .inputs import Input
from .model import TensorSpec
from .outputs import Output
from .tensor_model import TensorModel
from .warmup import made_up

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.proto.payload import Array
    from penstock.serving.settings import Settings

_log = logging.getLogger(__name__)

_DATATYPES: Final = {dtype: datatype for dtype, datatype in ELEMENTS.values() if dtype != np.dtype(object)}


class TfliteModel(TensorModel):
    """A model whose inputs and outputs have the names of its signature, where it has one."""

    platform = "tflite"

    def __init__(self, path: Path, settings: Settings) -> None:
        """Load, find out how it takes rows, and warm up.

        Raises:
            ModelLoadError: the file is no model that the interpreter can load, or has inputs that cannot be fed.
        """
        self._interpreter = _interpreter(path, settings.threads)
        inputs, outputs = _declared(self._interpreter, "input"), _declared(self._interpreter, "output")
        self._at = [details["index"] for details in inputs.values()]
        self._given_at = [details["index"] for details in outputs.values()]
        self._lock = threading.Lock()  # an interpreter holds the values of one run
        self._rows = 1  # that its tensors have room for
        has_rows = all(_takes_rows(details) for details in [*inputs.values(), *outputs.values()])
        takes = [Input(_spec(name, details, open_rows=has_rows), _dtype(details)) for name, details in inputs.items()]
        gives = [Output(_spec(name, details, open_rows=has_rows)) for name, details in outputs.items()]
        self._one_by_one = has_rows and not self._runs_two(takes, path)
        if self._one_by_one:
            self._interpreter, self._rows = _interpreter(path, settings.threads), 1
        self._has_rows = has_rows
        super().__init__(path, settings, takes, gives, open_rows=has_rows)

    def _runs_two(self, inputs: list[Input], path: Path) -> bool:
        """Whether a run of two rows gives two rows."""
        try:
            return all(len(array) == 2 for array in self._together(made_up(inputs, 2)))
        except (RuntimeError, ValueError) as error:
            _log.info("%s: each row has a run of its own, since two in one run fail (%s)", path, error)
            return False

    def _values(self, feeds: Sequence[Array]) -> list[Any]:
        with self._lock:
            if not self._has_rows:
                return self._invoked(feeds)
            if not self._one_by_one and len(feeds[0]):
                return self._together(feeds)
            return self._each(feeds)

    def _each(self, feeds: Sequence[Array]) -> list[Array]:
        rows = len(feeds[0])
        runs = [self._invoked([feed[row : row + 1] for feed in feeds]) for row in range(rows)]
        if not runs:
            return [self._interpreter.get_tensor(at)[:0] for at in self._given_at]
        return [np.concatenate(parts) for parts in zip(*runs, strict=True)]

    def _together(self, feeds: Sequence[Array]) -> list[Array]:
        rows = len(feeds[0])
        if rows != self._rows:
            for at, feed in zip(self._at, feeds, strict=True):
                self._interpreter.resize_tensor_input(at, list(feed.shape))
            self._interpreter.allocate_tensors()
            self._rows = rows
        return self._invoked(feeds)

    def _invoked(self, feeds: Sequence[Array]) -> list[Array]:
        for at, feed in zip(self._at, feeds, strict=True):
            self._interpreter.set_tensor(at, feed)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(at) for at in self._given_at]


def _interpreter(path: Path, threads: int) -> Any:
    try:
        # 0 is one for each core in the settings, and -1 that for the interpreter.
        interpreter = Interpreter(str(path), num_threads=threads or -1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelLoadError(f"{path} is no TFLite model that the interpreter can load: {error}") from error
    return interpreter


def _declared(interpreter: Any, side: str) -> dict[str, dict[str, Any]]:
    """The details of each input or output by name: as the one signature names it, else as the tensor is called."""
    signatures = list(interpreter.get_signature_list())
    if len(signatures) == 1:
        runner = interpreter.get_signature_runner(signatures[0])
        return dict(getattr(runner, f"get_{side}_details")())
    return {details["name"]: details for details in getattr(interpreter, f"get_{side}_details")()}


def _shape(details: dict[str, Any]) -> list[int]:
    return [int(size) for size in details["shape_signature"]]


def _takes_rows(details: dict[str, Any]) -> bool:
    """Whether its first axis is open, or one row that may be run again for each."""
    return _shape(details)[:1] in ([-1], [1])


def _dtype(details: dict[str, Any]) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(details["dtype"])
    return dtype


def _spec(name: str, details: dict[str, Any], *, open_rows: bool) -> TensorSpec:
    datatype = _DATATYPES.get(_dtype(details))
    if datatype is None:
        raise ModelLoadError(f"tensor {name!r} holds {_dtype(details)}, which has no form on the wire here")
    shape = _shape(details)
    return TensorSpec(name, datatype, tuple([-1, *shape[1:]] if open_rows else shape))
