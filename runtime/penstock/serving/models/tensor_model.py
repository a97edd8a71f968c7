"""What all models of named tensors have in common, whatever runs them: ONNX and TFLite alike."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from penstock.proto import ModelInputError, PayloadError

from .answers import Outputs, payload_of_outputs
from .fitting import joined
from .inputs import work_of, work_of_one
from .model import Answer, NoUnit, TensorSpec, Work
from .questions import arrays_of
from .warmup import are_independent, made_up

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.proto import Kind, Message, Payload
    from penstock.proto.inference import Tensor
    from penstock.proto.payload import Array
    from penstock.serving.settings import Settings

    from .inputs import Input
    from .model import Tables
    from .outputs import Output

_log = logging.getLogger(__name__)


class TensorModel:
    """Takes and gives named arrays; what runs the model says how in `_values`."""

    platform: str
    inline = True
    unit = NoUnit()

    def __init__(
        self, path: Path, settings: Settings, inputs: list[Input], outputs: list[Output], *, open_rows: bool
    ) -> None:
        """Warm up.

        Args:
            path: for the log.
            settings: of the service.
            inputs: as the model declares them.
            outputs: the same.
            open_rows: whether every input has rows on its first axis, any number, and the same as the others.
        """
        self.name = settings.name
        self.version = settings.version
        self._limits = settings.limits
        self._inputs = inputs
        self._outputs = outputs
        self._given = [one.spec.name for one in outputs]
        self.tables: Tables | None = self if len(inputs) == 1 else None
        self._batchable = settings.max_batch > 1 and open_rows
        self._warm_up(path)
        self.inputs = tuple(one.spec for one in self._inputs)
        self.outputs = tuple(one.spec for one in self._outputs)
        self._classes = {one.spec.name: one.classes for one in self._outputs if one.classes}

    def _values(self, feeds: Sequence[Array]) -> list[Any]:
        """Run the model on one array per input; one value per output."""
        raise NotImplementedError

    def _warm_up(self, path: Path) -> None:
        feeds = made_up(self._inputs, 2 if self._batchable else 1)
        try:
            values = self._values(feeds)
            self._outputs = [one.shown(value) for one, value in zip(self._outputs, values, strict=True)]
            arrays = [one.array(value) for one, value in zip(self._outputs, values, strict=True)]
            if self._batchable and not are_independent(self._run, feeds, arrays):
                self._batchable = False
                _log.info("%s: a row's answer depends on the rows beside it, so requests do not share runs", path)
        except Exception as error:
            # Made-up values may well be wrong for a model that is right: open sizes that are not free, for one.
            _log.info("%s: no warm-up, the model does not run on made-up values (%s)", path, error)

    def _run(self, feeds: Sequence[Array]) -> list[Array]:
        return [one.array(value) for one, value in zip(self._outputs, self._values(feeds), strict=True)]

    def predict(self, message: Message) -> Work:
        """Check a Seldon request."""
        payload = message.payload
        if payload is None:
            raise PayloadError("the message has no payload for the model", code="EMPTY_MESSAGE")
        if len(self._inputs) == 1 and payload.kind.is_array:
            return work_of_one(self._inputs[0], payload.value, batchable=self._batchable)
        return work_of(self._inputs, arrays_of(payload, self._inputs, self._limits), batchable=self._batchable)

    def table(self, numbers: Array) -> Work:
        """Check a table."""
        return work_of_one(self._inputs[0], numbers, batchable=self._batchable)

    def infer(self, inputs: Sequence[Tensor]) -> Work:
        """Check the tensors of an Open Inference request."""
        if len(inputs) == len(self._inputs) == 1 and inputs[0].name == self._inputs[0].spec.name:
            return work_of_one(self._inputs[0], inputs[0].array, batchable=self._batchable)
        arrays = {tensor.name: tensor.array for tensor in inputs}
        if len(arrays) != len(inputs):
            raise ModelInputError("an input is there twice")
        return work_of(self._inputs, arrays, batchable=self._batchable)

    def run(self, works: Sequence[Work]) -> list[Answer]:
        """Run once for all of them."""
        parts = zip(*[work.value for work in works], strict=True)
        outputs = self._run([joined(some, one.dtype, one.where) for some, one in zip(parts, self._inputs, strict=True)])
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

    def table_text(self, answer: Answer, kind: Kind) -> bytes:
        """The outputs as the JSON of a reply up to its meta, where they are one table of floats."""
        outputs, rows = answer.value
        text: bytes = outputs.text(rows, kind)
        return text

    def tensors(self, answer: Answer) -> list[Tensor]:
        """The outputs as they are."""
        from penstock.proto.inference import Tensor

        outputs, rows = answer.value
        return [Tensor(name, array) for name, array in outputs.arrays(rows).items()]

    def metadata(self) -> dict[str, Any]:
        """As the model tells it."""
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


def _split(outputs: list[Array], made: Outputs, rows: list[int]) -> list[Answer]:
    total = sum(rows)
    if any(output.ndim == 0 or len(output) != total for output in outputs):
        raise ValueError(f"{total} rows in one run did not give {total} rows in each output")
    answers, at = [], 0
    for count in rows:
        answers.append(Answer((made, slice(at, at + count))))
        at += count
    return answers
