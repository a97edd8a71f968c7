"""The gRPC server under the doors: grpcio's aio server, handing raw bytes to the handlers."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection

from penstock.proto import PenstockError, SetupError
from penstock.proto.pool import POOL

from . import health
from .failures import info, told
from .grpcio_health import HealthServicer
from .inference_grpc import inference_rpc_door
from .reflection_answers import describe
from .rpc import Call
from .seldon_grpc import seldon_rpc_door

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.serving.metrics import Metrics
    from penstock.serving.service import Service
    from penstock.serving.settings import Settings
    from penstock.serving.tls import Tls

    from .rpc import RpcDoor, RpcHandler

# Clients that keep idle connections alive may ping this often, milliseconds; grpc's own bound is 5 minutes.
_PING_EVERY = 10_000


class GrpcServer:
    """A running gRPC server."""

    def __init__(self, server: grpc.aio.Server, stopping: asyncio.Event) -> None:
        self._server = server
        self._stopping = stopping

    async def stop(self, grace: float) -> None:
        """Take no new calls, answer what came, within ``grace`` seconds."""
        self._stopping.set()
        await self._server.stop(grace)


async def start_grpc(service: Service, settings: Settings) -> tuple[GrpcServer, int]:
    """Listen; return the server and the port it bound (``settings.grpc_port`` 0 picks one).

    Raises:
        SetupError: the port cannot be bound.
    """
    server = grpc.aio.server(options=_options(settings))
    doors = [seldon_rpc_door(service, settings), inference_rpc_door(service, settings)]
    server.add_generic_rpc_handlers((_Methods(doors, service.metrics),))
    names = sorted({path.split("/")[1] for door in doors for path in door.methods})
    stopping = asyncio.Event()
    add_HealthServicer_to_server(HealthServicer(health.Health(service, names, stopping)), server)
    _describe(server, names)
    port = _listen(server, settings)
    await server.start()
    return GrpcServer(server, stopping), port


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.limits.message_bytes),
        ("grpc.max_send_message_length", settings.limits.message_bytes),
        # Otherwise a second service on the same port would silently get half of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _PING_EVERY),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


def _describe(server: grpc.aio.Server, names: list[str]) -> None:
    """Reflection, out of our own pool; the two services that are grpc's have to be added to it."""
    describe()
    reflection.enable_server_reflection([*names, health.NAME, reflection.SERVICE_NAME], server, pool=POOL)


def _listen(server: grpc.aio.Server, settings: Settings) -> int:
    address = f"{settings.host}:{settings.grpc_port}"
    try:
        if settings.tls is not None:
            return server.add_secure_port(address, _credentials(settings.tls))
        return server.add_insecure_port(address)
    except RuntimeError:
        raise SetupError(
            f"cannot listen for gRPC on {address}; choose another --grpc-port", code="PORT_TAKEN"
        ) from None


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    key, certificate, trusted = tls.pem()
    return grpc.ssl_server_credentials([(key, certificate)], trusted, require_client_auth=trusted is not None)


class _Methods(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in its stubs only
    """All methods of all doors in one dictionary, so that a call costs one look-up."""

    def __init__(self, doors: Iterable[RpcDoor], metrics: Metrics) -> None:
        self._handlers = {
            path: grpc.unary_unary_rpc_method_handler(_behaviour(door.name, path, handler, metrics))
            for door in doors
            for path, handler in door.methods.items()
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handlers.get(handler_call_details.method)


def _behaviour(door: str, path: str, handler: RpcHandler, metrics: Metrics) -> Any:
    method = path.rpartition("/")[2]

    async def answer(body: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        started = perf_counter()
        status = "CANCELLED"
        try:
            reply = await handler(Call(body, context.invocation_metadata() or (), context.time_remaining()))
            status = "OK"
        except Exception as error:
            failure = told(error)
            status = failure.grpc_status
            await _abort(context, failure)
        finally:
            metrics.request(door, method, status, perf_counter() - started)
        return reply

    return answer


async def _abort(context: grpc.aio.ServicerContext[bytes, bytes], error: PenstockError) -> NoReturn:
    await context.abort(grpc.StatusCode[error.grpc_status], info(error))
    raise AssertionError("abort always raises")
