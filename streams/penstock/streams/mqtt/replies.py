"""What goes back for a request: a result or an error, and what travels beside it."""

from __future__ import annotations

import json
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.proto import Kind, Payload, convert, encode
from penstock.proto.trace_context import new_span
from penstock.streams.headers import CALL, ELAPSED, MODEL, PUID, VERSION

from .properties import About

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.proto import PenstockError
    from penstock.streams.stacking import Group

    from .requests import Request

JSON = "application/json"
_TYPES = {Kind.BIN_DATA: "application/octet-stream", Kind.STR_DATA: "text/plain"}


class Reply(NamedTuple):
    """What goes back.

    Attributes:
        payload: its bytes.
        about: what goes beside it with MQTT 5.
        error: its code; empty for a result.
    """

    payload: bytes
    about: About
    error: str = ""


def refusal(request: Request, error: PenstockError, id_field: str) -> Reply:
    """The reply to a request that has no answer."""
    body = {"error": {"code": error.code, "message": error.message}}
    return Reply(_json(request, body, id_field), _about(request, JSON, ()), error.code)


def forecast(request: Request, values: dict[str, float], calls: Sequence[Group], id_field: str) -> Reply:
    """The reply with each model's forecast under its name, as ``{"LSTM": -0.135}``."""
    return Reply(_json(request, values, id_field), _about(request, JSON, calls))


def prediction(request: Request, answer: Payload, kind: Kind, call: Group, *, is_row: bool) -> Reply:
    """The reply that is one model's answer, in the form of a kind; one row is answered by one row, as in a stream.

    Raises:
        PayloadError: the answer has no such form.
    """
    if is_row and answer.kind.is_array and answer.array.ndim > 1 and answer.array.shape[0] == 1:
        answer = Payload(answer.kind, answer.array[0], answer.names)
    body = encode(answer if answer.kind is kind else convert(answer, kind))
    return Reply(body, _about(request, _TYPES.get(kind, JSON), [call]))


def _json(request: Request, body: dict[str, Any], id_field: str) -> bytes:
    if request.identity is not None:
        body = {id_field: request.identity, **body}
    return json.dumps(body, ensure_ascii=False).encode()


def _about(request: Request, content_type: str, calls: Sequence[Group]) -> About:
    told = [(PUID, request.puid)]
    if request.trace is not None:
        # The span of the call, as in a stream; where there was none, a span of the reply itself.
        span = calls[0].span if calls else new_span()
        told += request.trace.headers(span).items()
    for call in calls:
        if call.answer is not None:
            told += [(MODEL, call.answer.model), (VERSION, call.answer.version)]
            told += [(CALL, call.puid)] if call.puid != request.puid else []
    if calls:
        told.append((ELAPSED, f"{(monotonic() - request.since) * 1000:.3f}"))
    return About(correlation=request.correlation, content_type=content_type, user=tuple(told))
