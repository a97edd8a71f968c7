"""gRPC's health service, told by the service itself at the moment it is asked."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1.health_pb2 import (
    HealthCheckRequest,
    HealthCheckResponse,
    HealthListRequest,
    HealthListResponse,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from penstock.serving.service import Service

    _Context = grpc.aio.ServicerContext[HealthCheckRequest, HealthCheckResponse]

NAME = "grpc.health.v1.Health"

# How late a watcher may learn of a change, seconds.
_LOOK_EVERY = 0.5


class Health:
    """Answers for the whole server (the empty name) and for each service on it."""

    def __init__(self, service: Service, names: Collection[str]) -> None:
        self._service = service
        self._names = {"", *names}
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Say NOT_SERVING from now on, and end the watches: they would hold the server up."""
        self._stopping.set()

    def _status(self, name: str) -> Any:
        if name not in self._names:
            return HealthCheckResponse.SERVICE_UNKNOWN
        if self._service.ready and not self._stopping.is_set():
            return HealthCheckResponse.SERVING
        return HealthCheckResponse.NOT_SERVING

    async def Check(self, request: HealthCheckRequest, context: _Context) -> HealthCheckResponse:  # noqa: N802
        """Answer once; NOT_FOUND for a service that is not here."""
        status = self._status(request.service)
        if status == HealthCheckResponse.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no service {request.service!r:.80} here")
        return HealthCheckResponse(status=status)

    async def List(self, _request: HealthListRequest, _context: _Context) -> HealthListResponse:  # noqa: N802
        """Answer for every name at once."""
        statuses = {name: HealthCheckResponse(status=self._status(name)) for name in self._names}
        return HealthListResponse(statuses=statuses)

    async def Watch(  # noqa: N802
        self, request: HealthCheckRequest, _context: _Context
    ) -> AsyncIterator[HealthCheckResponse]:
        """Answer now and at each change."""
        last = None
        while not self._stopping.is_set():
            status = self._status(request.service)
            if status != last:
                yield HealthCheckResponse(status=status)
                last = status
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _LOOK_EVERY)
        yield HealthCheckResponse(status=self._status(request.service))
