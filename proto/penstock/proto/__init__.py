"""The codec: what is on the wire, and what it means.

`Payload` is one value in one of six kinds; `Message` is a payload and what travels beside it. Each has readers and
writers for every form it takes: content bytes (`decode`, `encode`), protobuf (`read_message`, `write_message`) and
JSON (`read_json_message`, `write_json_message`); `convert` makes any kind from any other.
"""

import typing

from .content import decode, encode, encode_text
from .conversion import convert, payload_of
from .errors import (
    ConversionError,
    DeadlineExceeded,
    LimitError,
    ModelError,
    ModelFailure,
    ModelInputError,
    ModelLoadError,
    Overloaded,
    PayloadError,
    PenstockError,
    RequestError,
    ServiceError,
    SetupError,
    Unauthenticated,
    Unavailable,
)
from .jsonform import (
    feedback_from_json,
    json_message,
    message_from_json,
    message_list_from_json,
    read_json_feedback,
    read_json_message,
    read_json_message_list,
    write_json_feedback,
    write_json_message,
    write_json_message_list,
)
from .limits import DEFAULT_LIMITS, Limits
from .payload import Kind, Message, Meta, Payload

if typing.TYPE_CHECKING:
    from .asides import Feedback, Metric, Status
    from .messages import (
        read_feedback,
        read_message,
        read_message_list,
        write_feedback,
        write_message,
        write_message_list,
    )
else:

    def __getattr__(name: str) -> typing.Any:
        # Imported when it is asked for: a service's start should be short.
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name in ("Feedback", "Metric", "Status"):
            from . import asides as module
        else:
            from . import messages as module
        value = globals()[name] = getattr(module, name)
        return value


__all__ = [
    "DEFAULT_LIMITS",
    "ConversionError",
    "DeadlineExceeded",
    "Feedback",
    "Kind",
    "LimitError",
    "Limits",
    "Message",
    "Meta",
    "Metric",
    "ModelError",
    "ModelFailure",
    "ModelInputError",
    "ModelLoadError",
    "Overloaded",
    "Payload",
    "PayloadError",
    "PenstockError",
    "RequestError",
    "ServiceError",
    "SetupError",
    "Status",
    "Unauthenticated",
    "Unavailable",
    "convert",
    "decode",
    "encode",
    "encode_text",
    "feedback_from_json",
    "json_message",
    "message_from_json",
    "message_list_from_json",
    "payload_of",
    "read_feedback",
    "read_json_feedback",
    "read_json_message",
    "read_json_message_list",
    "read_message",
    "read_message_list",
    "write_feedback",
    "write_json_feedback",
    "write_json_message",
    "write_json_message_list",
    "write_message",
    "write_message_list",
]
