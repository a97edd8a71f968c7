"""What a service tells about its model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from penstock.proto import prediction_pb2 as pb
from penstock.proto.errors import PayloadError
from penstock.proto.jsontext import loads

if TYPE_CHECKING:
    from penstock.proto import Limits


@dataclass(frozen=True, slots=True)
class TensorMetadata:
    """One input or output of a model.

    Attributes:
        name: its name; empty where the model does not tell.
        datatype: in the words of the Open Inference Protocol (``FP32``), or empty.
        shape: -1 where any size is taken.
        message_type: the payload kind, for models that describe themselves in Seldon's first form, else empty.
        schema: that form's description, any JSON value.
    """

    name: str = ""
    datatype: str = ""
    shape: tuple[int, ...] = ()
    message_type: str = ""
    schema: Any = None


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What a model tells about itself.

    Attributes:
        name: of the model.
        versions: that are served.
        platform: what runs it, such as ``onnxruntime``.
        inputs: in the model's order.
        outputs: in the model's order.
        custom: whatever else its author wanted to say.
    """

    name: str = ""
    versions: tuple[str, ...] = ()
    platform: str = ""
    inputs: tuple[TensorMetadata, ...] = ()
    outputs: tuple[TensorMetadata, ...] = ()
    custom: dict[str, str] = field(default_factory=dict)


def read_metadata(data: bytes, limits: Limits) -> ModelMetadata:
    """Read a ``SeldonModelMetadata``."""
    limits.check_bytes(len(data))
    try:
        message = pb.SeldonModelMetadata.FromString(data)
        return _metadata(json_format.MessageToDict(message, preserving_proto_field_name=True))
    except (DecodeError, json_format.Error):
        raise PayloadError("not a SeldonModelMetadata", code="BAD_WIRE") from None


def read_json_metadata(body: bytes, limits: Limits) -> ModelMetadata:
    """Read the reply of Seldon's ``/metadata``."""
    value = loads(body, limits)
    try:
        return _metadata(value)
    except (AttributeError, TypeError, ValueError):  # a list where an object belongs, text for a number
        raise PayloadError("the JSON is no metadata of a model") from None


def _metadata(value: dict[str, Any]) -> ModelMetadata:
    return ModelMetadata(
        name=str(value.get("name", "")),
        versions=tuple(str(version) for version in value.get("versions") or ()),
        platform=str(value.get("platform", "")),
        inputs=_tensors(value.get("inputs")),
        outputs=_tensors(value.get("outputs")),
        custom={str(key): str(text) for key, text in (value.get("custom") or {}).items()},
    )


def _tensors(value: Any) -> tuple[TensorMetadata, ...]:
    # A graph's own form is one object instead of a list of them.
    each = [value] if isinstance(value, dict) else value or ()
    return tuple(
        TensorMetadata(
            name=str(one.get("name", "")),
            datatype=str(one.get("datatype", "")),
            shape=tuple(int(size) for size in one.get("shape") or ()),
            message_type=str(one.get("messagetype", "")),
            schema=one.get("schema"),
        )
        for one in each
    )
