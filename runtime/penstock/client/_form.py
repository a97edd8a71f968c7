"""How requests are written and replies are read: protobuf for gRPC, JSON for REST."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from penstock.proto import (
    read_json_message,
    read_message,
    write_feedback,
    write_json_feedback,
    write_json_message,
    write_message,
)

from ._metadata import read_json_metadata, read_metadata
from ._models import read_json_models, read_models

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.proto import Feedback, Limits, Message

    from ._metadata import ModelMetadata
    from ._models import ServedModel

_SERVING: Final = b"\x08\x01"  # grpc.health.v1.HealthCheckResponse with status 1, SERVING


@dataclass(frozen=True, slots=True)
class Form:
    """One encoding of everything that a client sends and gets.

    Attributes:
        is_binary: whether an array travels as its bytes; it then takes the kind that keeps its dtype.
        write_message: a request.
        write_feedback: a feedback.
        read_message: a reply.
        read_metadata: a reply about the model.
        models_request: what asks for the models.
        read_models: the reply to that.
        read_ready: whether a reply about the service's health says that it serves.
    """

    is_binary: bool
    write_message: Callable[[Message], bytes]
    write_feedback: Callable[[Feedback], bytes]
    read_message: Callable[[bytes, Limits], Message]
    read_metadata: Callable[[bytes, Limits], ModelMetadata]
    models_request: bytes
    read_models: Callable[[bytes, Limits], tuple[ServedModel, ...]]
    read_ready: Callable[[bytes], bool]


PROTOBUF: Final = Form(
    is_binary=True,
    write_message=write_message,
    write_feedback=write_feedback,
    read_message=read_message,
    read_metadata=read_metadata,
    models_request=b"",
    read_models=read_models,
    read_ready=lambda data: data == _SERVING,
)

JSON: Final = Form(
    is_binary=False,
    write_message=write_json_message,
    write_feedback=write_json_feedback,
    read_message=read_json_message,
    read_metadata=read_json_metadata,
    models_request=b"{}",
    read_models=read_json_models,
    read_ready=lambda _: True,  # the HTTP status has said it
)
