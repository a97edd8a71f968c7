"""All that is offered over gRPC: the protocols, health and reflection. Imported with the first connection of HTTP/2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .health import NAME as HEALTH
from .health import Health
from .inference_grpc import inference_rpc_door
from .reflection import NAME as REFLECTION
from .reflection import reflection_streams
from .seldon_grpc import seldon_rpc_door

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

    from penstock.serving.service import Service
    from penstock.serving.settings import Settings

    from .grpc_streams import StreamHandler
    from .rpc import RpcDoor


def grpc_doors(
    service: Service, settings: Settings, stopping: asyncio.Event
) -> tuple[Sequence[RpcDoor], Mapping[str, StreamHandler]]:
    """The methods with one answer, and those with more.

    Args:
        service: behind them.
        settings: of it.
        stopping: set when health shall say NOT_SERVING.
    """
    doors = [seldon_rpc_door(service, settings), inference_rpc_door(service, settings)]
    names = {path.split("/")[1] for door in doors for path in door.methods}
    health = Health(service, names, stopping)
    return [*doors, health.door()], health.streams() | reflection_streams({*names, HEALTH, REFLECTION})
