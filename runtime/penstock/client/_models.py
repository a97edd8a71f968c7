"""Which models can be asked for at an address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from penstock.proto import open_inference_pb2 as pb
from penstock.proto.errors import PayloadError
from penstock.proto.jsontext import loads

if TYPE_CHECKING:
    from penstock.proto import Limits

    from ._metadata import ModelMetadata


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model of a service, or of everything that is behind a gateway.

    Attributes:
        name: of the model.
        version: empty where the service does not tell.
        state: ``READY`` where predictions are answered; empty where the service does not tell.
        reason: why it is in that state, or empty.
    """

    name: str
    version: str = ""
    state: str = ""
    reason: str = ""


def read_models(data: bytes, limits: Limits) -> tuple[ServedModel, ...]:
    """Read a ``RepositoryIndexResponse`` of the Open Inference Protocol's model repository extension."""
    limits.check_bytes(len(data))
    try:
        message = pb.RepositoryIndexResponse.FromString(data)
    except DecodeError:
        raise PayloadError("not a RepositoryIndexResponse", code="BAD_WIRE") from None
    return tuple(ServedModel(one.name, one.version, one.state, one.reason) for one in message.models if one.name)


def read_json_models(body: bytes, limits: Limits) -> tuple[ServedModel, ...]:
    """Read the reply of ``/v2/repository/index``."""
    value: Any = loads(body, limits)
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise PayloadError("the JSON is no index of models")
    models = (ServedModel(*(str(one.get(key) or "") for key in ServedModel.__slots__)) for one in value)
    return tuple(model for model in models if model.name)


def models_of(metadata: ModelMetadata) -> tuple[ServedModel, ...]:
    """The one model of a service without an index."""
    return (ServedModel(metadata.name, next(iter(metadata.versions), "")),) if metadata.name else ()
