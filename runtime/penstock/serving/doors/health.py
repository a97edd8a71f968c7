"""gRPC's health service, told by the service itself at the moment it is asked."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from .rpc import RpcDoor, parsed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from grpc_health.v1.health_pb2 import HealthCheckResponse, HealthListResponse

    from penstock.serving.service import Service

    from .grpc_streams import StreamCall, StreamHandler
    from .rpc import Call

NAME: Final = "grpc.health.v1.Health"

# Of the protocol's ServingStatus.
_SERVING: Final = 1
_NOT_SERVING: Final = 2
SERVICE_UNKNOWN: Final = 3

# How late a watcher may learn of a change, seconds.
_LOOK_EVERY: Final = 0.5


class Health:
    """Answers for the whole server (the empty name) and for each service on it.

    Args:
        service: that is asked.
        names: of the services.
        stopping: once it is set, the status is NOT_SERVING, and the watches end, which would hold the server up.
    """

    def __init__(self, service: Service, names: Collection[str], stopping: asyncio.Event) -> None:
        self._service = service
        self._names = {"", *names}
        self._stopping = stopping

    def status(self, name: str) -> int:
        """The status of one service, as the protocol has it."""
        if name not in self._names:
            return SERVICE_UNKNOWN
        return _SERVING if self._service.ready and not self._stopping.is_set() else _NOT_SERVING

    def statuses(self) -> HealthListResponse:
        """The status of each service."""
        # Imported when the first one asks, here and below: with protobuf it would be a tenth of a start.
        from grpc_health.v1.health_pb2 import HealthCheckResponse, HealthListResponse

        return HealthListResponse(
            statuses={name: HealthCheckResponse(status=self.status(name)) for name in self._names}
        )

    async def changes(self, name: str) -> AsyncIterator[HealthCheckResponse]:
        """The status of one service, now and at each change, until the end."""
        from grpc_health.v1.health_pb2 import HealthCheckResponse

        last = None
        while not self._stopping.is_set():
            status = self.status(name)
            if status != last:
                yield HealthCheckResponse(status=status)
                last = status
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _LOOK_EVERY)
        yield HealthCheckResponse(status=self.status(name))

    # ------------------------------------------------------------------ as methods of our own door

    def door(self) -> RpcDoor:
        """The methods with one answer. They are asked every few seconds, so they are not counted: they have no name."""
        return RpcDoor("", {f"/{NAME}/Check": self._check, f"/{NAME}/List": self._list})

    def streams(self) -> dict[str, StreamHandler]:
        """The method with more."""
        return {f"/{NAME}/Watch": self._watch}

    async def _check(self, call: Call) -> bytes:
        from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

        name = parsed(HealthCheckRequest, call.body).service
        status = self.status(name)
        if status == SERVICE_UNKNOWN:
            from .grpc_status import Refused

            raise Refused("NOT_FOUND", unknown(name))
        return bytes(HealthCheckResponse(status=status).SerializeToString())

    async def _list(self, call: Call) -> bytes:
        from grpc_health.v1.health_pb2 import HealthListRequest

        parsed(HealthListRequest, call.body)
        return bytes(self.statuses().SerializeToString())

    async def _watch(self, call: StreamCall) -> None:
        from grpc_health.v1.health_pb2 import HealthCheckRequest

        name = parsed(HealthCheckRequest, await call.receive() or b"").service
        async for status in self.changes(name):
            call.send(status.SerializeToString())


def unknown(name: str) -> str:
    """What a caller is told who asks for a service that is not here."""
    return f"there is no service {name!r:.80} here"
