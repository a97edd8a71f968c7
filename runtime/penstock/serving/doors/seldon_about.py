"""Seldon's metadata over gRPC: through protobuf, which predictions need not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import ParseDict

from penstock.proto import prediction_pb2 as pb

from .rpc import parsed

if TYPE_CHECKING:
    from penstock.serving.service import Service


def metadata(service: Service, body: bytes) -> bytes:
    """The answer to ``Model/Metadata``."""
    parsed(Empty, body)
    return _metadata(service).SerializeToString()


def named_metadata(service: Service, body: bytes) -> bytes:
    """The answer to ``Seldon/ModelMetadata``."""
    parsed(pb.SeldonModelMetadataRequest, body)
    return _metadata(service).SerializeToString()


def graph_metadata(service: Service, body: bytes) -> bytes:
    """The answer to ``Seldon/GraphMetadata``: a graph of this one model."""
    parsed(Empty, body)
    about, name = _metadata(service), service.settings.name
    graph = pb.SeldonGraphMetadata(name=name, inputs=about.inputs, outputs=about.outputs)
    graph.models[about.name or name].CopyFrom(about)
    return graph.SerializeToString()


def _metadata(service: Service) -> pb.SeldonModelMetadata:
    return ParseDict(service.metadata(), pb.SeldonModelMetadata(), ignore_unknown_fields=True)
