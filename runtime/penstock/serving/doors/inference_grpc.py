"""The Open Inference Protocol over gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.json_format import ParseDict

from penstock.proto import open_inference_pb2 as pb
from penstock.proto.inference import read_infer_request, write_infer_response

from . import served
from .rpc import RpcDoor, parsed
from .served import check_model, model_index, model_metadata

if TYPE_CHECKING:
    from penstock.serving.service import Service
    from penstock.serving.settings import Settings

    from .rpc import Call

_SERVICE = "/inference.GRPCInferenceService/"


def inference_rpc_door(service: Service, settings: Settings) -> RpcDoor:
    """The methods of ``GRPCInferenceService``."""

    async def server_live(call: Call) -> bytes:
        parsed(pb.ServerLiveRequest, call.body)
        return pb.ServerLiveResponse(live=True).SerializeToString()

    async def server_ready(call: Call) -> bytes:
        parsed(pb.ServerReadyRequest, call.body)
        return pb.ServerReadyResponse(ready=service.ready).SerializeToString()

    async def model_ready(call: Call) -> bytes:
        request = parsed(pb.ModelReadyRequest, call.body)
        check_model(service, request.name, request.version)
        return pb.ModelReadyResponse(ready=service.ready).SerializeToString()

    async def server_metadata(call: Call) -> bytes:
        parsed(pb.ServerMetadataRequest, call.body)
        return ParseDict(served.server_metadata(), pb.ServerMetadataResponse()).SerializeToString()

    async def metadata(call: Call) -> bytes:
        request = parsed(pb.ModelMetadataRequest, call.body)
        check_model(service, request.name, request.version)
        return ParseDict(model_metadata(service), pb.ModelMetadataResponse()).SerializeToString()

    async def repository_index(call: Call) -> bytes:
        request = parsed(pb.RepositoryIndexRequest, call.body)
        models = model_index(service, ready_only=request.ready)
        return ParseDict({"models": models}, pb.RepositoryIndexResponse()).SerializeToString()

    async def infer(call: Call) -> bytes:
        asked = read_infer_request(call.body, settings.limits)
        check_model(service, asked.model_name, asked.model_version)
        outputs = await service.infer(
            asked.inputs,
            outputs=[output.name for output in asked.outputs],
            request_id=asked.id,
            parameters=asked.parameters,
            deadline=call.deadline,
        )
        return write_infer_response(
            outputs,
            model_name=service.model.name,
            model_version=service.model.version,
            request_id=asked.id,
        )

    methods = {
        "ServerLive": server_live,
        "ServerReady": server_ready,
        "ModelReady": model_ready,
        "ServerMetadata": server_metadata,
        "ModelMetadata": metadata,
        "ModelInfer": infer,
        "RepositoryIndex": repository_index,
    }
    return RpcDoor("inference-grpc", {_SERVICE + name: handler for name, handler in methods.items()})
