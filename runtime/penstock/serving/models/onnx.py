"""An ONNX model in onnxruntime."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # it has none

from penstock.proto import ModelInputError, ModelLoadError, PayloadError

from .answers import Outputs, payload_of_outputs
from .datatypes import element_of
from .fitting import to_dtype
from .inputs import Input, work_of
from .model import Answer, NoUnit, TensorSpec, Work
from .outputs import output_of, sizes_of
from .questions import arrays_of
from .warmup import are_independent, made_up

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.proto import Kind, Message, Payload
    from penstock.proto.inference import Tensor
    from penstock.proto.payload import Array
    from penstock.serving.settings import Settings

_log = logging.getLogger(__name__)

# Its log goes to stderr past every logger; what matters comes as an exception too, and is logged by us.
_FATAL_ONLY = 4


class OnnxModel:
    """Takes and gives named arrays."""

    platform = "onnxruntime_onnx"
    inline = True
    unit = NoUnit()

    def __init__(self, path: Path, settings: Settings) -> None:
        """Load and warm up.

        Raises:
            ModelLoadError: the file is no model that onnxruntime can load, or has inputs that cannot be fed.
        """
        self.name = settings.name
        self.version = settings.version
        self._limits = settings.limits
        self._session = _session(path, settings.threads)
        self._inputs = [_input(one) for one in self._session.get_inputs()]
        self._outputs = [output_of(one.name, one.type, one.shape) for one in self._session.get_outputs()]
        self._given = [one.spec.name for one in self._outputs]
        self._names = [one.spec.name for one in self._inputs]
        self._batchable = settings.max_batch > 1 and self._has_open_rows()
        self._warm_up(path)
        self.inputs = tuple(one.spec for one in self._inputs)
        self.outputs = tuple(one.spec for one in self._outputs)
        self._classes = {one.spec.name: one.classes for one in self._outputs if one.classes}

    def _has_open_rows(self) -> bool:
        """Whether every input has rows on its first axis, any number, and the same number as the others."""
        if not self._inputs or any(not one.spec.shape or one.spec.shape[0] >= 0 for one in self._inputs):
            return False
        declared = {one.shape[0] for one in self._session.get_inputs() if one.shape[0] is not None}
        return len(declared) <= 1

    def _warm_up(self, path: Path) -> None:
        feeds = made_up(self._inputs, 2 if self._batchable else 1)
        try:
            values = self._session.run(None, dict(zip(self._names, feeds, strict=True)))
            self._outputs = [one.shown(value) for one, value in zip(self._outputs, values, strict=True)]
            arrays = [one.array(value) for one, value in zip(self._outputs, values, strict=True)]
            if self._batchable and not are_independent(self._run, feeds, arrays):
                self._batchable = False
                _log.info("%s: a row's answer depends on the rows beside it, so requests do not share runs", path)
        except Exception as error:
            # Made-up values may well be wrong for a model that is right: open sizes that are not free, for one.
            _log.info("%s: no warm-up, the model does not run on made-up values (%s)", path, error)

    def _run(self, feeds: Sequence[Array]) -> list[Array]:
        values = self._session.run(None, dict(zip(self._names, feeds, strict=True)))
        return [one.array(value) for one, value in zip(self._outputs, values, strict=True)]

    def predict(self, message: Message) -> Work:
        """Check a Seldon request."""
        payload = message.payload
        if payload is None:
            raise PayloadError("the message has no payload for the model", code="EMPTY_MESSAGE")
        return work_of(self._inputs, arrays_of(payload, self._inputs, self._limits), batchable=self._batchable)

    def infer(self, inputs: Sequence[Tensor]) -> Work:
        """Check the tensors of an Open Inference request."""
        arrays = {tensor.name: tensor.array for tensor in inputs}
        if len(arrays) != len(inputs):
            raise ModelInputError("an input is there twice")
        return work_of(self._inputs, arrays, batchable=self._batchable)

    def run(self, works: Sequence[Work]) -> list[Answer]:
        """Run once for all of them."""
        parts = works[0].value if len(works) == 1 else map(np.concatenate, zip(*[w.value for w in works], strict=True))
        outputs = self._run(
            [to_dtype(part, one.dtype, one.where) for part, one in zip(parts, self._inputs, strict=True)]
        )
        made = Outputs(dict(zip(self._given, outputs, strict=True)), self._classes)
        if len(works) == 1:
            return [Answer((made, None))]
        return _split(outputs, made, [work.rows for work in works])

    def reply(self, answer: Answer, asked: Payload | None, output: Kind | None) -> Payload:
        """The outputs as one Seldon payload."""
        if asked is None:
            raise PayloadError("the message has no payload for the model", code="EMPTY_MESSAGE")
        outputs, rows = answer.value
        return payload_of_outputs(outputs, rows, asked.kind, output)

    def tensors(self, answer: Answer) -> list[Tensor]:
        """The outputs as they are."""
        from penstock.proto.inference import Tensor

        outputs, rows = answer.value
        return [Tensor(name, array) for name, array in outputs.arrays(rows).items()]

    def metadata(self) -> dict[str, Any]:
        """As the session tells it."""
        return {
            "name": self.name,
            "versions": [self.version] if self.version else [],
            "platform": self.platform,
            "inputs": [_described(spec) for spec in self.inputs],
            "outputs": [_described(spec) for spec in self.outputs],
            "custom": {},
        }


def _described(spec: TensorSpec) -> dict[str, Any]:
    return {"messagetype": "tensor", "name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = threads
    options.log_severity_level = _FATAL_ONLY
    try:
        return onnxruntime.InferenceSession(path, options, providers=onnxruntime.get_available_providers())
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


def _split(outputs: list[Array], made: Outputs, rows: list[int]) -> list[Answer]:
    total = sum(rows)
    if any(output.ndim == 0 or len(output) != total for output in outputs):
        raise ValueError(f"{total} rows in one run did not give {total} rows in each output")
    answers, at = [], 0
    for count in rows:
        answers.append(Answer((made, slice(at, at + count))))
        at += count
    return answers
