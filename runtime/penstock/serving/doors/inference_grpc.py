"""The Open Inference Protocol over gRPC."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from .rpc import RpcDoor
from .served import check_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.proto.inference.tensors import InferRequest
    from penstock.serving.service import Service
    from penstock.serving.settings import Settings

    from .rpc import Call, RpcHandler

_SERVICE = "/inference.GRPCInferenceService/"
_ABOUT: Final = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "RepositoryIndex")


def inference_rpc_door(service: Service, settings: Settings) -> RpcDoor:
    """The methods of ``GRPCInferenceService``."""

    async def infer(call: Call) -> bytes:
        read, write = _codec()
        asked = read(call.body, settings.limits)
        check_model(service, asked.model_name, asked.model_version)
        outputs = await service.infer(
            asked.inputs,
            outputs=[output.name for output in asked.outputs],
            request_id=asked.id,
            parameters=asked.parameters,
            deadline=call.deadline,
        )
        return write(
            outputs,
            model_name=service.model.name,
            model_version=service.model.version,
            request_id=asked.id,
        )

    methods = {"ModelInfer": infer, **{name: _about(name, service) for name in _ABOUT}}
    return RpcDoor("inference-grpc", {_SERVICE + name: handler for name, handler in methods.items()})


@cache
def _codec() -> tuple[Callable[..., InferRequest], Callable[..., bytes]]:
    # Imported when the first one is asked, as below: a start should be short.
    from penstock.proto.inference import read_infer_request, write_infer_response

    return read_infer_request, write_infer_response


def _about(method: str, service: Service) -> RpcHandler:
    async def handler(call: Call) -> bytes:
        from .inference_about import ANSWERS

        return ANSWERS[method](service, call.body)

    return handler
