"""One call of a user's method and what Seldon asks the model for after it: class names, tags, metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.proto import Message, Meta, ModelError, json_message

from .conventions import value_of
from .model import Answer
from .returned import names_of, plain, value_of_result
from .user_metrics import metrics_of

if TYPE_CHECKING:
    from collections.abc import Callable


class UserModel:
    """The user's object; every method of this class runs the user's code, so only in the worker thread."""

    def __init__(self, wrapped: object) -> None:
        self.wrapped = wrapped

    def answer(self, method: Callable[..., Any], features: Any, names: tuple[str, ...], meta: Meta | None) -> Answer:
        """Call ``method(features, names, meta)`` once."""
        return self.finished(method(own(features), list(names), {} if meta is None else told(meta)))

    def finished(self, result: Any, names_from: str = "class_names") -> Answer:
        """The answer around what a method returned; an object with data, tags and metrics is taken apart.

        Raises:
            ModelError: the result, its tags or its metrics are not what they may be.
        """
        data, own_tags, own_metrics = _parts(result)
        value = value_of_result(data)
        shown = value_of(self.wrapped, names_from) if isinstance(value, np.ndarray) and value.ndim > 1 else None
        tags = {**_tags(value_of(self.wrapped, "tags")), **_tags(own_tags)}
        metrics = metrics_of(value_of(self.wrapped, "metrics")) + metrics_of(own_metrics)
        return Answer(value, names_of(value, shown), tags, metrics)


def told(meta: Meta) -> dict[str, Any]:
    """The meta as the dict that Seldon passes."""
    return json_message(Message(meta=meta))["meta"]  # type: ignore[no-any-return]


def own(features: Any) -> Any:
    """An array that the user's code may write to: what comes from the wire is a view of it."""
    if isinstance(features, np.ndarray) and not features.flags.writeable:
        return features.copy()
    return features


def _parts(result: Any) -> tuple[Any, Any, Any]:
    """Seldon's SeldonResponse, known by its attributes, so that no package of Seldon's is needed."""
    if not isinstance(result, np.ndarray) and all(hasattr(result, name) for name in ("data", "tags", "metrics")):
        return result.data, result.tags, result.metrics
    return result, None, None


def _tags(returned: Any) -> dict[str, Any]:
    if returned is None:
        return {}
    if not isinstance(returned, dict):
        raise ModelError(f"tags of the model is a dict, not a {type(returned).__name__}", code="BAD_TAGS")
    return plain(returned)  # type: ignore[no-any-return]
