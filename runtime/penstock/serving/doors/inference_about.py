"""What the Open Inference Protocol tells over gRPC beside inference: through protobuf, which inference needs not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from google.protobuf.json_format import ParseDict

from penstock.proto import open_inference_pb2 as pb

from . import served
from .rpc import parsed
from .served import check_model, model_index, model_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.serving.service import Service


def _server_live(_service: Service, body: bytes) -> bytes:
    parsed(pb.ServerLiveRequest, body)
    return pb.ServerLiveResponse(live=True).SerializeToString()


def _server_ready(service: Service, body: bytes) -> bytes:
    parsed(pb.ServerReadyRequest, body)
    return pb.ServerReadyResponse(ready=service.ready).SerializeToString()


def _model_ready(service: Service, body: bytes) -> bytes:
    request = parsed(pb.ModelReadyRequest, body)
    check_model(service, request.name, request.version)
    return pb.ModelReadyResponse(ready=service.ready).SerializeToString()


def _server_metadata(_service: Service, body: bytes) -> bytes:
    parsed(pb.ServerMetadataRequest, body)
    return ParseDict(served.server_metadata(), pb.ServerMetadataResponse()).SerializeToString()


def _model_metadata(service: Service, body: bytes) -> bytes:
    request = parsed(pb.ModelMetadataRequest, body)
    check_model(service, request.name, request.version)
    return ParseDict(model_metadata(service), pb.ModelMetadataResponse()).SerializeToString()


def _repository_index(service: Service, body: bytes) -> bytes:
    request = parsed(pb.RepositoryIndexRequest, body)
    models = model_index(service, ready_only=request.ready)
    return ParseDict({"models": models}, pb.RepositoryIndexResponse()).SerializeToString()


ANSWERS: Final[Mapping[str, Callable[[Service, bytes], bytes]]] = {
    "ServerLive": _server_live,
    "ServerReady": _server_ready,
    "ModelReady": _model_ready,
    "ServerMetadata": _server_metadata,
    "ModelMetadata": _model_metadata,
    "RepositoryIndex": _repository_index,
}
"""By method: the service and the request's bytes to the answer's."""
