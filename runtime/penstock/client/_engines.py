"""Which transport a client calls through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from penstock.proto.errors import SetupError

from ._http_setup import names_proxy

if TYPE_CHECKING:
    from ._address import Address
    from ._call import Call
    from ._settings import Tls

OURS: Final = "penstock"
GRPCIO: Final = "grpcio"
_ENGINES: Final = (OURS, GRPCIO)


class Transport(Protocol):
    """Carries calls of threads."""

    def send(self, call: Call, token: str) -> bytes:
        """One attempt; raises `AttemptFailed`."""
        ...

    def close(self) -> None:
        """End every connection."""
        ...


class AsyncTransport(Protocol):
    """Carries calls of tasks."""

    async def send(self, call: Call, token: str) -> bytes:
        """One attempt; raises `AttemptFailed`."""
        ...

    async def close(self) -> None:
        """End every connection."""
        ...


def transport(address: Address, tls: Tls, max_message_bytes: int, engine: str | None) -> Transport:
    """What threads call through.

    Raises:
        SetupError: there is no such engine, or a setting is wrong.
    """
    if not address.is_grpc:
        from ._rest import RestTransport

        return RestTransport(address, tls, max_message_bytes)
    if _chosen(address, engine) == GRPCIO:
        from ._grpc import GrpcTransport

        return GrpcTransport(address, tls, max_message_bytes)
    from ._threads import Http2Transport

    return Http2Transport(address, tls, max_message_bytes)


def async_transport(address: Address, tls: Tls, max_message_bytes: int, engine: str | None) -> AsyncTransport:
    """What tasks call through.

    Raises:
        SetupError: there is no such engine, or a setting is wrong.
    """
    if not address.is_grpc:
        from ._rest import AsyncRestTransport

        return AsyncRestTransport(address, tls, max_message_bytes)
    if _chosen(address, engine) == GRPCIO:
        from ._grpc import AsyncGrpcTransport

        return AsyncGrpcTransport(address, tls, max_message_bytes)
    from ._tasks import AsyncHttp2Transport

    return AsyncHttp2Transport(address, tls, max_message_bytes)


def _chosen(address: Address, engine: str | None) -> str:
    if engine not in (None, *_ENGINES):
        raise SetupError(f"there is no engine {engine!r:.40} for gRPC; there are {' and '.join(_ENGINES)}")
    # Ours knows no proxies; grpcio does, and looks for them in the environment as we do.
    return engine or (GRPCIO if names_proxy(address) else OURS)
