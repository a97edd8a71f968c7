"""Seldon's gRPC services: Seldon and Model, and those of the other units of an inference graph."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from penstock.proto import (
    Message,
    read_feedback,
    read_message,
    read_message_list,
    write_message,
)

from .rpc import RpcDoor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.serving.service import Service
    from penstock.serving.settings import Settings

    from .rpc import Call, RpcHandler

_PACKAGE = "/seldon.protos."


def seldon_rpc_door(service: Service, settings: Settings) -> RpcDoor:
    """The methods of all Seldon services; what the model does not offer is refused by the service."""
    calls = _Calls(service, settings)
    transform_input = calls.on_message(service.transform_input)
    transform_output = calls.on_message(service.transform_output)
    route = calls.on_message(service.route)
    services: dict[str, dict[str, RpcHandler]] = {
        "Seldon": {
            "Predict": calls.predict,
            "SendFeedback": calls.feedback,
            "ModelMetadata": calls.named_metadata,
            "GraphMetadata": calls.graph_metadata,
        },
        "Model": {"Predict": calls.predict, "SendFeedback": calls.feedback, "Metadata": calls.metadata},
        "Generic": {
            "TransformInput": transform_input,
            "TransformOutput": transform_output,
            "Route": route,
            "Aggregate": calls.aggregate,
            "SendFeedback": calls.feedback,
        },
        "Router": {"Route": route, "SendFeedback": calls.feedback},
        "Transformer": {"TransformInput": transform_input},
        "OutputTransformer": {"TransformOutput": transform_output},
        "Combiner": {"Aggregate": calls.aggregate},
    }
    methods = {
        f"{_PACKAGE}{name}/{method}": handler
        for name, offered in services.items()
        for method, handler in offered.items()
    }
    return RpcDoor("seldon-grpc", methods)


class _Calls:
    """What the methods do."""

    def __init__(self, service: Service, settings: Settings) -> None:
        self._service = service
        self._limits = settings.limits

    async def predict(self, call: Call) -> bytes:
        message = read_message(call.body, self._limits)
        return write_message(await self._service.predict(message, puid=_puid(call), deadline=call.deadline))

    async def feedback(self, call: Call) -> bytes:
        return write_message(await self._service.feedback(read_feedback(call.body, self._limits), call.deadline))

    async def aggregate(self, call: Call) -> bytes:
        return write_message(await self._service.aggregate(read_message_list(call.body, self._limits), call.deadline))

    def on_message(self, method: Callable[[Message, float | None], Awaitable[Message]]) -> RpcHandler:
        """A handler for a method of the service from one message to one message."""

        async def handler(call: Call) -> bytes:
            return write_message(await method(_with_puid(read_message(call.body, self._limits), call), call.deadline))

        return handler

    async def metadata(self, call: Call) -> bytes:
        # Imported when it is asked, as those below: protobuf would be a tenth of a start.
        from .seldon_about import metadata

        return metadata(self._service, call.body)

    async def named_metadata(self, call: Call) -> bytes:
        from .seldon_about import named_metadata

        return named_metadata(self._service, call.body)

    async def graph_metadata(self, call: Call) -> bytes:
        from .seldon_about import graph_metadata

        return graph_metadata(self._service, call.body)


def _puid(call: Call) -> str:
    for key, value in call.metadata:
        if key == "seldon-puid":
            return value if isinstance(value, str) else value.decode("latin-1")
    return ""


def _with_puid(message: Message, call: Call) -> Message:
    puid = _puid(call)
    if message.meta.puid or not puid:
        return message
    return replace(message, meta=replace(message.meta, puid=puid))
