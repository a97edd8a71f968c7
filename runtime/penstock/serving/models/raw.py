"""Seldon's raw methods: the model gets the whole message and writes the whole reply.

Over gRPC Seldon passes its protobuf message, over REST a dict. Here a model says which it wants: a parameter
annotated with a protobuf class gets one of that class, any other the dict.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from penstock.proto import (
    Feedback,
    Message,
    PayloadError,
    json_message,
    message_from_json,
    read_message,
    write_feedback,
    write_message,
    write_message_list,
)
from penstock.proto.jsontext import dumps, loads

from .returned import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.message import Message as ProtobufMessage

    Asked = Message | Feedback | Sequence[Message]


def raw_call(method: Callable[..., Any]) -> Callable[[Asked], Message]:
    """A function from what was asked to the reply that ``method`` writes."""
    wanted = _protobuf_class(method)

    def call(asked: Asked) -> Message:
        return _reply(method(_as_dict(asked) if wanted is None else wanted.FromString(_as_bytes(asked))))

    return call


def _protobuf_class(method: Callable[..., Any]) -> type[ProtobufMessage] | None:
    # Imported for a model with such a method, here and below: a start should be short.
    from google.protobuf.message import Message as ProtobufMessage

    try:
        parameters = list(inspect.signature(method, eval_str=True).parameters.values())
    except (ValueError, NameError, TypeError):
        return None
    annotation = parameters[0].annotation if parameters else None
    if isinstance(annotation, type) and issubclass(annotation, ProtobufMessage):
        return annotation
    return None


def _as_bytes(asked: Asked) -> bytes:
    if isinstance(asked, Message):
        return write_message(asked)
    return write_feedback(asked) if isinstance(asked, Feedback) else write_message_list(asked)


def _as_dict(asked: Asked) -> dict[str, Any]:
    """Through JSON text, so that arrays are the lists that a model expects there."""
    if isinstance(asked, Message):
        value: Any = json_message(asked)
    elif isinstance(asked, Feedback):
        parts = {"request": asked.request, "response": asked.response, "truth": asked.truth}
        value = {"reward": asked.reward} | {key: json_message(part) for key, part in parts.items()}
    else:
        value = {"seldonMessages": [json_message(message) for message in asked]}
    return loads(dumps(value))  # type: ignore[no-any-return]


def _reply(result: Any) -> Message:
    from google.protobuf.message import Message as ProtobufMessage

    try:
        if isinstance(result, Message):
            return result
        if isinstance(result, ProtobufMessage):
            return read_message(result.SerializeToString())
        if isinstance(result, dict):
            return message_from_json(plain(result))
    except PayloadError as error:
        raise TypeError(f"a raw method returned no SeldonMessage: {error.message}") from error
    raise TypeError(f"a raw method returned a {type(result).__name__}, not a SeldonMessage or a dict of its form")
