"""gRPC's health service, told by the service itself at the moment it is asked."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthServicer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from penstock.serving.service import Service

NAME = "grpc.health.v1.Health"

# How late a watcher may learn of a change, seconds.
_LOOK_EVERY = 0.5

_Request = health_pb2.HealthCheckRequest
_Response = health_pb2.HealthCheckResponse


class Health(HealthServicer):
    """Answers for the whole server (the empty name) and for each service on it."""

    def __init__(self, service: Service, names: Collection[str]) -> None:
        self._service = service
        self._names = {"", *names}
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Say NOT_SERVING from now on, and end the watches: they would hold the server up."""
        self._stopping.set()

    def _status(self, name: str) -> _Response.ServingStatus:
        if name not in self._names:
            return _Response.SERVICE_UNKNOWN
        if self._service.ready and not self._stopping.is_set():
            return _Response.SERVING
        return _Response.NOT_SERVING

    async def Check(self, request: _Request, context: grpc.aio.ServicerContext) -> _Response:  # noqa: N802
        """Answer once; NOT_FOUND for a service that is not here."""
        status = self._status(request.service)
        if status == _Response.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no service {request.service!r:.80} here")
        return _Response(status=status)

    async def Watch(  # noqa: N802
        self, request: _Request, _context: grpc.aio.ServicerContext
    ) -> AsyncIterator[_Response]:
        """Answer now and at each change."""
        last = None
        while not self._stopping.is_set():
            status = self._status(request.service)
            if status != last:
                yield _Response(status=status)
                last = status
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _LOOK_EVERY)
        yield _Response(status=self._status(request.service))
