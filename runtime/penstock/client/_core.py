"""What both clients do the same way: everything but waiting."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

from penstock.proto import DEFAULT_LIMITS, Feedback, Limits, Message
from penstock.proto.errors import DeadlineExceeded, SetupError

from ._address import parse_address
from ._call import Call, Route
from ._failures import AttemptFailed
from ._form import JSON, PROTOBUF
from ._headers import checked_headers
from ._prediction import Prediction
from ._replies import checked, read_reply
from ._request import request_message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.proto import Kind
    from penstock.proto.payload import Json

    from ._metadata import ModelMetadata
    from ._models import ServedModel


class Core:
    """Turns arguments into calls and replies into results."""

    def __init__(self, address: str, deadline: float, max_message_bytes: int) -> None:
        self.address = parse_address(address)
        self.form = PROTOBUF if self.address.is_grpc else JSON
        self.limits: Limits = replace(DEFAULT_LIMITS, message_bytes=max_message_bytes)
        self._deadline = _seconds(deadline)

    def call(self, route: Route, body: bytes, deadline: float | None, headers: Mapping[str, str] | None = None) -> Call:
        """A call that starts now.

        Raises:
            LimitError: the request is larger than ``max_message_bytes``.
            SetupError: a header that cannot be sent.
        """
        self.limits.check_bytes(len(body))
        seconds = self._deadline if deadline is None else _seconds(deadline)
        return Call(route, body, seconds, monotonic() + seconds, checked_headers(headers) if headers else ())

    def over(self, call: Call) -> None:
        """Raise `AttemptFailed` where the deadline of ``call`` has passed."""
        if call.is_over:
            text = f"no answer from {self.address} within {call.deadline:g} s"
            raise AttemptFailed(DeadlineExceeded(text), executed=False)

    def predict_body(
        self,
        value: Any,
        kind: Kind | str | None,
        names: Sequence[str],
        puid: str,
        tags: Mapping[str, Json] | None,
    ) -> bytes:
        """The encoded request of a prediction."""
        is_binary = self.form.is_binary
        message = request_message(value, kind=kind, names=names, puid=puid, tags=tags, is_binary=is_binary)
        return self.form.write_message(message)

    def feedback_body(self, request: Any, response: Any, reward: float, truth: Any) -> bytes:
        """The encoded feedback."""
        feedback = Feedback(self._message(request), self._message(response), reward, self._message(truth))
        return self.form.write_feedback(feedback)

    def _message(self, value: Any) -> Message:
        if value is None:
            return Message()
        if isinstance(value, Prediction):
            return value.message
        return request_message(value, kind=None, names=(), puid="", tags=None, is_binary=self.form.is_binary)

    def prediction(self, reply: bytes, started: float) -> Prediction:
        """The result of a prediction that was started at ``started`` on the clock of `time.perf_counter`."""
        message = checked(read_reply(self.form.read_message, reply, self.limits, self.address))
        return Prediction(message, perf_counter() - started)

    def metadata(self, reply: bytes) -> ModelMetadata:
        """What a service tells about its model."""
        return read_reply(self.form.read_metadata, reply, self.limits, self.address)

    def models_call(self, deadline: float | None) -> Call:
        """The call that asks for the models."""
        return self.call(Route.MODELS, self.form.models_request, deadline)

    def models(self, reply: bytes) -> tuple[ServedModel, ...]:
        """The models in an index."""
        return read_reply(self.form.read_models, reply, self.limits, self.address)


def _seconds(deadline: float) -> float:
    # A year stands for "no deadline": sockets and gRPC take no infinity.
    if not 0 < deadline < 366 * 86_400:
        raise SetupError(f"a deadline is a number of seconds greater than 0, not {deadline}")
    return float(deadline)
