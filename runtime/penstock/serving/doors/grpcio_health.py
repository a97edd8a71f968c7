"""Health as grpcio's server takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse

from .health import SERVICE_UNKNOWN, unknown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .health import Health

    _Context = grpc.aio.ServicerContext[HealthCheckRequest, HealthCheckResponse]


class HealthServicer:
    """Three methods, by the names that grpcio looks for."""

    def __init__(self, health: Health) -> None:
        self._health = health

    async def Check(self, request: HealthCheckRequest, context: _Context) -> HealthCheckResponse:  # noqa: N802
        """Answer once; NOT_FOUND for a service that is not here."""
        status = self._health.status(request.service)
        if status == SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, unknown(request.service))
        return HealthCheckResponse(status=status)

    async def List(self, _request: HealthListRequest, _context: _Context) -> HealthListResponse:  # noqa: N802
        """Answer for every name at once."""
        return self._health.statuses()

    async def Watch(  # noqa: N802
        self, request: HealthCheckRequest, _context: _Context
    ) -> AsyncIterator[HealthCheckResponse]:
        """Answer now and at each change."""
        # grpcio asks the function itself whether it is an asynchronous generator, so it has to be one.
        async for status in self._health.changes(request.service):
            yield status
