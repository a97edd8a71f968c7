"""HTTP requests to one host, with a bounded reply and a deadline that holds.

On httpcore, the engine of httpx: a request here needs no cookies, redirects or URL merging, and costs half.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpcore

from penstock.proto.errors import LimitError

from ._failures import AttemptFailed
from ._http_failures import broken, late
from ._http_setup import connection_settings
from ._idle import Idle
from ._network import Deadline, DeadlineBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._address import Address
    from ._call import Call
    from ._settings import Tls

Headers = list[tuple[bytes, bytes]]

_BROKEN: Final = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Attributes:
        status: HTTP status.
        headers: names in lower case.
        content: the whole body.
    """

    status: int
    headers: dict[bytes, bytes]
    content: bytes


class HttpConnections:
    """Connections to one host that threads share."""

    def __init__(self, address: Address, tls: Tls, max_reply_bytes: int) -> None:
        self._address = address
        self._origin = _origin(address)
        self._largest = max_reply_bytes
        self._deadline = Deadline()
        # Only makes connections, and knows how to make them through a proxy; see `Idle`.
        self._factory = httpcore.ConnectionPool(
            network_backend=DeadlineBackend(self._deadline), **connection_settings(address, tls)
        )
        self._idle: Idle[httpcore.ConnectionInterface] = Idle()

    def request(self, method: str, target: bytes, headers: Headers, call: Call) -> Reply:
        """Send ``call.body`` to the path ``target``.

        Raises:
            AttemptFailed: no reply, or one that is too large.
        """
        self._deadline.ends = call.ends
        request = _request(self._origin, method, target, headers, call)
        connection = self._connection()
        try:
            response = connection.handle_request(request)
            content = bytearray()
            for chunk in response.iter_stream():
                content += chunk
                _check_size(len(content), self._largest, self._address)
            response.close()
        except httpcore.TimeoutException as error:
            raise late(error, self._address, call) from None
        except _BROKEN as error:
            raise broken(error, self._address) from None
        finally:
            self._give_back(connection)
        return Reply(response.status, _lower(response.headers), bytes(content))

    def _connection(self) -> httpcore.ConnectionInterface:
        while connection := self._idle.take():
            if not connection.has_expired():
                return connection
            connection.close()
        return self._factory.create_connection(self._origin)

    def _give_back(self, connection: httpcore.ConnectionInterface) -> None:
        if connection.is_closed() or not (connection.is_idle() and self._idle.give(connection)):
            connection.close()
        if stale := self._idle.take_expired():
            stale.close()

    def close(self) -> None:
        """Close every connection; those that are in use, when their call is over."""
        for connection in self._idle.end():
            connection.close()


class AsyncHttpConnections:
    """Connections to one host that the tasks of one event loop share."""

    def __init__(self, address: Address, tls: Tls, max_reply_bytes: int) -> None:
        self._address = address
        self._origin = _origin(address)
        self._largest = max_reply_bytes
        self._factory = httpcore.AsyncConnectionPool(
            network_backend=httpcore.AnyIOBackend(), **connection_settings(address, tls)
        )
        self._idle: Idle[httpcore.AsyncConnectionInterface] = Idle()

    async def request(self, method: str, target: bytes, headers: Headers, call: Call) -> Reply:
        """Send ``call.body`` to the path ``target``.

        Raises:
            AttemptFailed: no reply, or one that is too large.
        """
        request = _request(self._origin, method, target, headers, call)
        connection = await self._connection()
        try:
            async with asyncio.timeout(call.left):
                response = await connection.handle_async_request(request)
                content = bytearray()
                async for chunk in response.aiter_stream():
                    content += chunk
                    _check_size(len(content), self._largest, self._address)
                await response.aclose()
        except (TimeoutError, httpcore.TimeoutException) as error:
            raise late(error, self._address, call) from None
        except _BROKEN as error:
            raise broken(error, self._address) from None
        finally:
            await self._give_back(connection)
        return Reply(response.status, _lower(response.headers), bytes(content))

    async def _connection(self) -> httpcore.AsyncConnectionInterface:
        while connection := self._idle.take():
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return self._factory.create_connection(self._origin)

    async def _give_back(self, connection: httpcore.AsyncConnectionInterface) -> None:
        if connection.is_closed() or not (connection.is_idle() and self._idle.give(connection)):
            await connection.aclose()
        if stale := self._idle.take_expired():
            await stale.aclose()

    async def close(self) -> None:
        """Close every connection; those that are in use, when their call is over."""
        for connection in self._idle.end():
            await connection.aclose()


def _origin(address: Address) -> httpcore.Origin:
    return httpcore.Origin(address.scheme.encode(), address.host.encode("idna"), address.port)


def _request(origin: httpcore.Origin, method: str, target: bytes, headers: Headers, call: Call) -> httpcore.Request:
    url = httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=target)
    return httpcore.Request(method, url, headers=headers, content=call.body)


def _check_size(size: int, largest: int, address: Address) -> None:
    if size > largest:
        text = f"the reply of {address} has more than {largest:,} bytes; raise max_message_bytes"
        raise AttemptFailed(LimitError(text, code="MESSAGE_TOO_LARGE"))


def _lower(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    return {name.lower(): value for name, value in headers}
