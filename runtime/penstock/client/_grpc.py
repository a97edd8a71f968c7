"""Calls over gRPC: bytes in, bytes out; the codec has done its work before and will do it after."""

from __future__ import annotations

import asyncio
from threading import Lock
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from ._channel import channel_options, credentials
from ._failures import AttemptFailed, closed
from ._grpc_failures import failure
from ._methods import METHODS

if TYPE_CHECKING:
    from ._address import Address
    from ._call import Call, Route
    from ._settings import Tls


class GrpcTransport:
    """A channel that threads share."""

    def __init__(self, address: Address, tls: Tls, max_message_bytes: int) -> None:
        self._address = address
        self._tls = tls
        self._options = channel_options(address, max_message_bytes)
        self._lock = Lock()
        self._channel: grpc.Channel | None = None
        self._methods: dict[Route, Any] = {}

    def send(self, call: Call, token: str) -> bytes:
        """One attempt.

        Raises:
            AttemptFailed: it failed.
        """
        method = (self._methods or self._open(call))[call.route]
        try:
            return method(call.body, timeout=call.left, metadata=_metadata(token, call))  # type: ignore[no-any-return]
        except grpc.RpcError as error:
            raise failure(error, self._address, call) from None
        except ValueError:  # what grpcio raises on a channel that has been closed
            raise AttemptFailed(closed(self._address)) from None

    def _open(self, call: Call) -> dict[Route, Any]:
        with self._lock:
            if not self._methods:
                self._channel = channel = self._connected(call)
                self._methods = {route: channel.unary_unary(path, None, None) for route, path in METHODS.items()}
            return self._methods

    def _connected(self, call: Call) -> grpc.Channel:
        if not self._address.is_secure:
            return grpc.insecure_channel(self._address.target, self._options)
        secret, more = credentials(self._address, self._tls, call.left)
        return grpc.secure_channel(self._address.target, secret, [*self._options, *more])

    def close(self) -> None:
        """End the connection, and every call that is still under way."""
        if self._channel is not None:
            self._channel.close()


class AsyncGrpcTransport:
    """A channel that the tasks of one event loop share."""

    def __init__(self, address: Address, tls: Tls, max_message_bytes: int) -> None:
        self._address = address
        self._tls = tls
        self._options = channel_options(address, max_message_bytes)
        self._lock = asyncio.Lock()
        self._channel: grpc.aio.Channel | None = None
        self._methods: dict[Route, Any] = {}
        self._closed = False

    async def send(self, call: Call, token: str) -> bytes:
        """One attempt.

        Raises:
            AttemptFailed: it failed.
        """
        method = (self._methods or await self._open(call))[call.route]
        try:
            return await method(call.body, timeout=call.left, metadata=_metadata(token, call))  # type: ignore[no-any-return]
        except grpc.aio.AioRpcError as error:
            raise failure(error, self._address, call) from None
        except (asyncio.CancelledError, grpc.aio.UsageError):
            # grpc.aio tells a closed channel by cancelling; only a task that was cancelled itself may see that.
            if self._closed and not _is_cancelled():
                raise AttemptFailed(closed(self._address)) from None
            raise

    async def _open(self, call: Call) -> dict[Route, Any]:
        async with self._lock:
            if not self._methods:
                self._channel = channel = await self._connected(call)
                self._methods = {route: channel.unary_unary(path, None, None) for route, path in METHODS.items()}
            return self._methods

    async def _connected(self, call: Call) -> grpc.aio.Channel:
        if not self._address.is_secure:
            return grpc.aio.insecure_channel(self._address.target, self._options)
        secret, more = await asyncio.to_thread(credentials, self._address, self._tls, call.left)
        return grpc.aio.secure_channel(self._address.target, secret, [*self._options, *more])

    async def close(self) -> None:
        """End the connection, and every call that is still under way."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close(None)


def _metadata(token: str, call: Call) -> tuple[tuple[str, str], ...] | None:
    return (*call.headers, ("authorization", f"Bearer {token}")) if token else call.headers or None


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
