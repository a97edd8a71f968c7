"""The methods of a ``SeldonWrapper`` beside predict: transforming, routing, combining, feedback, health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.proto import Message, ModelError, PayloadError

from .conventions import adapted, offered
from .model import Answer, Work
from .raw import raw_call
from .user_model import own, told

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.proto import Feedback

    from .user_model import UserModel

# Method -> how many values it gets, and the one that it gets by name where it wants it.
_METHODS: dict[str, tuple[int, str | None]] = {
    "transform_input": (2, "meta"),
    "transform_output": (2, "meta"),
    "route": (2, "meta"),
    "aggregate": (2, None),
    "send_feedback": (4, "routing"),
    "health_status": (0, None),
}


class WrapperUnit:
    """Each call gives the work to do, or None where the model has no such method."""

    def __init__(self, user: UserModel, name: str) -> None:
        self._user = user
        self._name = name
        self._methods: dict[str, Callable[..., Any]] = {}
        self._raw: dict[str, Callable[..., Message]] = {}
        for method, (values, optional) in _METHODS.items():
            if (plain := offered(user.wrapped, method)) is not None:
                self._methods[method] = adapted(plain, values, optional)
            if method != "health_status" and (raw := offered(user.wrapped, f"{method}_raw")) is not None:
                self._raw[method] = raw_call(raw)

    @property
    def offers_anything(self) -> bool:
        """Whether the model has a method that can be served without predict."""
        return bool((self._methods.keys() | self._raw.keys()) - {"health_status", "send_feedback"})

    def transform_input(self, message: Message) -> Work | None:
        """Columns are named by ``feature_names`` where the model has it."""
        names_from = "class_names" if offered(self._user.wrapped, "feature_names") is None else "feature_names"
        return self._transform("transform_input", message, names_from)

    def transform_output(self, message: Message) -> Work | None:
        """Columns are named by ``class_names``, as those of predict."""
        return self._transform("transform_output", message, "class_names")

    def _transform(self, name: str, message: Message, names_from: str) -> Work | None:
        if name in self._raw:
            return self._raw_work(name, message)
        method = self._methods.get(name)
        if method is None:
            return None
        features, names = _features(message)
        return Work(lambda: self._user.finished(method(own(features), list(names), told(message.meta)), names_from))

    def route(self, message: Message) -> Work | None:
        """The number of a child, as an array of one row and column."""
        if "route" in self._raw:
            return self._raw_work("route", message)
        method = self._methods.get("route")
        if method is None:
            return None
        features, names = _features(message)

        def call() -> Answer:
            chosen = method(own(features), list(names), told(message.meta))
            if isinstance(chosen, bool) or not isinstance(chosen, int | np.integer):
                raise ModelError(f"route of the model returns the number of a child, not {chosen!r:.80}")
            answer = self._user.finished(np.array([[chosen]]))
            answer.routing = {self._name: int(chosen)}
            return answer

        return Work(call)

    def aggregate(self, messages: Sequence[Message]) -> Work | None:
        """All features and all names, as two lists."""
        if "aggregate" in self._raw:
            return self._raw_work("aggregate", messages)
        method = self._methods.get("aggregate")
        if method is None:
            return None
        parts = [_features(message) for message in messages]

        def call() -> Answer:
            return self._user.finished(method([own(part) for part, _ in parts], [list(names) for _, names in parts]))

        return Work(call)

    def feedback(self, feedback: Feedback) -> Work | None:
        """Features and truth of the feedback, None where it has none; an answer of None is an empty list."""
        if "send_feedback" in self._raw:
            return self._raw_work("send_feedback", feedback)
        method = self._methods.get("send_feedback")
        if method is None:
            return None
        asked, truth = feedback.request.payload, feedback.truth.payload
        features, names = (None, ()) if asked is None else (asked.value, asked.names)
        expected = None if truth is None else truth.value
        routing = feedback.response.meta.routing.get(self._name)

        def call() -> Answer:
            result = method(own(features), list(names), feedback.reward, own(expected), routing)
            return self._user.finished([] if result is None else result)

        return Work(call)

    def health(self) -> Work | None:
        """What ``health_status`` returns."""
        method = self._methods.get("health_status")
        return None if method is None else Work(lambda: self._user.finished(method()))

    def _raw_work(self, name: str, asked: Message | Feedback | Sequence[Message]) -> Work:
        raw = self._raw[name]
        return Work(lambda: Answer(raw(asked)))


def _features(message: Message) -> tuple[Any, tuple[str, ...]]:
    if message.payload is None:
        raise PayloadError("the message has no payload for the model", code="EMPTY_MESSAGE")
    return message.payload.value, message.payload.names
