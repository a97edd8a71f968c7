"""An ONNX model in onnxruntime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnxruntime  # type: ignore[import-untyped]  # it has none

from penstock.proto import ModelLoadError

from .datatypes import element_of
from .inputs import Input
from .model import TensorSpec
from .outputs import output_of, sizes_of
from .tensor_model import TensorModel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.proto.payload import Array
    from penstock.serving.settings import Settings

# Its log goes to stderr past every logger; what matters comes as an exception too, and is logged by us.
_FATAL_ONLY = 4


class OnnxModel(TensorModel):
    """A model whose inputs and outputs are those of the ONNX graph."""

    platform = "onnxruntime_onnx"

    def __init__(self, path: Path, settings: Settings) -> None:
        """Load and warm up.

        Raises:
            ModelLoadError: the file is no model that onnxruntime can load, or has inputs that cannot be fed.
        """
        self._session = _session(path, settings)
        inputs = [_input(one) for one in self._session.get_inputs()]
        outputs = [output_of(one.name, one.type, one.shape) for one in self._session.get_outputs()]
        self._names = [one.spec.name for one in inputs]
        self._asked = [one.spec.name for one in outputs]
        super().__init__(path, settings, inputs, outputs, open_rows=self._has_open_rows(inputs))

    def _has_open_rows(self, inputs: list[Input]) -> bool:
        if not inputs or any(not one.spec.shape or one.spec.shape[0] >= 0 for one in inputs):
            return False
        declared = {one.shape[0] for one in self._session.get_inputs() if one.shape[0] is not None}
        return len(declared) <= 1

    def _values(self, feeds: Sequence[Array]) -> list[Any]:
        values: list[Any] = self._session.run(self._asked, dict(zip(self._names, feeds, strict=True)))
        return values


def _session(path: Path, settings: Settings) -> onnxruntime.InferenceSession:
    def load(file: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
        options.intra_op_num_threads = settings.threads
        options.inter_op_num_threads = settings.threads
        options.log_severity_level = _FATAL_ONLY
        return onnxruntime.InferenceSession(file, options, providers=onnxruntime.get_available_providers())

    file = path
    if settings.shared is not None:
        from .packed import packed

        file = packed(path, settings.shared, load)
    try:
        return load(file, onnxruntime.SessionOptions())
    except Exception as error:
        raise ModelLoadError(f"{path} is no ONNX model that onnxruntime can load: {error}") from error


def _input(declared: Any) -> Input:
    element = element_of(declared.type)
    if element is None:
        raise ModelLoadError(f"input {declared.name!r} is a {declared.type}, which cannot be fed from a payload")
    dtype, datatype = element
    spec = TensorSpec(declared.name, datatype, sizes_of(declared.shape))
    # onnxruntime tells a scalar and an unknown rank alike, with an empty shape; the model itself checks scalars.
    return Input(spec, dtype, open_rank=not declared.shape)
