"""A Python class ``SeldonWrapper`` as a model.

All of its code runs in the service's one worker thread, a call at a time. Its ``predict`` runs once per request,
unless the class says ``batchable = True``: then rows of several requests go in one call. It must say so, since only
its author knows that a row's answer does not depend on the rows beside it, nor on who asks.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.proto import Message, ModelLoadError, PayloadError
from penstock.serving.failures import BadMetadata, not_offered, told

from .conventions import adapted, offered, takes_optional
from .metadata import checked, tensors_of
from .model import Answer, Work
from .named_tensors import features_of, tensors_of_value
from .python_folder import make
from .raw import raw_call
from .returned import payload_of_value
from .user_model import UserModel
from .wrapper_unit import WrapperUnit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.proto import Kind, Payload
    from penstock.proto.inference import Tensor
    from penstock.proto.payload import Array
    from penstock.serving.settings import Settings

    from .model import Tables

_log = logging.getLogger(__name__)


class PythonModel:
    """Calls the methods of a ``SeldonWrapper``."""

    platform = "python"
    inline = False
    tables: Tables | None = None

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Import, make and load the class.

        Raises:
            ModelLoadError: its code raised, or it has no ``predict`` or other method to serve.
        """
        self.name = settings.name
        self.version = settings.version
        wrapped = make(folder)
        self._user = UserModel(wrapped)
        self.unit = WrapperUnit(self._user, self.name)
        predict, raw = offered(wrapped, "predict"), offered(wrapped, "predict_raw")
        self._raw = None if raw is None else raw_call(raw)
        self._batchable = bool(getattr(wrapped, "batchable", False)) and settings.max_batch > 1
        if predict is None and raw is None and not self.unit.offers_anything:
            raise ModelLoadError(f"the class of {folder} has no method predict, so there is nothing to serve")
        if predict is not None and self._batchable and takes_optional(predict, "meta"):
            raise ModelLoadError("predict of the model needs meta, and one call for several requests has no one meta")
        self._predict = None if predict is None else adapted(predict, 2, "meta")
        self._metadata = self._ask_metadata(wrapped)
        described = {} if isinstance(self._metadata, BadMetadata) else self._metadata
        self.inputs = tensors_of(described.get("inputs", ()))
        self.outputs = tensors_of(described.get("outputs", ()))

    def _ask_metadata(self, wrapped: object) -> dict[str, Any] | BadMetadata:
        method = offered(wrapped, "init_metadata")
        versions = [self.version] if self.version else []
        defaults: dict[str, Any] = {"name": self.name, "versions": versions, "platform": self.platform}
        defaults |= {"inputs": [], "outputs": [], "custom": {}}
        if method is None:
            return defaults
        try:
            return checked(method(), defaults)
        except BadMetadata as error:
            # As in Seldon: the model serves, and whoever asks for the metadata learns what is wrong with it.
            _log.warning("%s", error.message)
            return error
        except Exception as error:
            raise ModelLoadError(f"init_metadata of the model failed: {type(error).__name__}: {error}") from error

    def metadata(self) -> dict[str, Any]:
        """What ``init_metadata`` told.

        Raises:
            BadMetadata: it did not have the form of Seldon's metadata.
        """
        if isinstance(self._metadata, BadMetadata):
            raise self._metadata
        return self._metadata

    def predict(self, message: Message) -> Work:
        """Check a Seldon request."""
        if self._raw is not None:
            raw = self._raw
            return Work(lambda: Answer(raw(message)))
        payload = message.payload
        if payload is None:
            raise PayloadError("the message has no payload for the model", code="EMPTY_MESSAGE")
        if self._batchable and payload.kind.is_array:
            return _shared(payload.value, payload.names)
        return self._alone(payload.value, payload.names, message)

    def infer(self, inputs: Sequence[Tensor]) -> Work:
        """Check the tensors of an Open Inference request."""
        features, names = features_of(inputs)
        if self._batchable and isinstance(features, np.ndarray):
            return _shared(features, names)
        return self._alone(features, names, Message())

    def _alone(self, features: Any, names: tuple[str, ...], message: Message) -> Work:
        predict = self._predict
        if predict is None:
            raise not_offered("predict")
        return Work(lambda: self._user.answer(predict, features, names, message.meta))

    def run(self, works: Sequence[Work]) -> list[Answer]:
        """Call the model's method, once."""
        first = works[0].value
        if not isinstance(first, tuple):
            return [first()]
        features, names = first
        if len(works) > 1:
            features = np.concatenate([work.value[0] for work in works])
        answer = self._user.answer(self._predict_rows, features, names, None)
        return [answer] if len(works) == 1 else _split(answer, [work.rows for work in works])

    def _predict_rows(self, features: Array, names: list[str], meta: Any) -> Any:
        if self._predict is None:
            raise not_offered("predict")
        return self._predict(features, names, meta)

    def reply(self, answer: Answer, asked: Payload | None, output: Kind | None) -> Payload:
        """The kind follows the type of what the model returned."""
        return payload_of_value(answer.value, answer.names, None if asked is None else asked.kind, output)

    def tensors(self, answer: Answer) -> list[Tensor]:
        """An entry for each key of a dict, one for anything else."""
        value = answer.value
        if isinstance(value, Message):
            value = b"" if value.payload is None else value.payload.value
        try:
            return tensors_of_value(value, [spec.name for spec in self.outputs])
        except PayloadError as error:
            raise told(error) from None


def _shared(features: Array, names: tuple[str, ...]) -> Work:
    """Work that may share a call with others of the same names, dtype and row shape."""
    if features.ndim == 0 or not len(features):
        return Work((features, names))
    key = (names, features.dtype.str, features.shape[1:])
    return Work((features, names), key, len(features), features.size)


def _split(answer: Answer, rows: list[int]) -> list[Answer]:
    value = answer.value
    if not isinstance(value, np.ndarray) or value.ndim == 0 or len(value) != sum(rows):
        raise ValueError(f"a batchable predict got {sum(rows)} rows and did not return as many")
    answers, at = [], 0
    for count in rows:
        # The metrics of one call are reported once: with the first of the requests that shared it.
        metrics = answer.metrics if at == 0 else ()
        answers.append(Answer(value[at : at + count], answer.names, answer.tags, metrics))
        at += count
    return answers
