"""Calls over gRPC on our own HTTP/2, for the tasks of an event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penstock.http2.client import ClientConnection

from ._failures import AttemptFailed, closed
from ._multiplexed import MultiplexedConnection
from ._rpc import PREFIX, Requests, reply, told
from ._rpc_failures import late, no_connection, unsteady
from ._sockets import check_protocol, rpc_context, tune
from ._threads import CONNECTIONS

if TYPE_CHECKING:
    import ssl

    from ._address import Address
    from ._call import Call
    from ._settings import Tls


class AsyncHttp2Transport:
    """A connection that the tasks of one event loop share; a new one where the service has ended it."""

    def __init__(self, address: Address, tls: Tls, max_message_bytes: int) -> None:
        self._address = address
        self._tls = rpc_context(address, tls)
        self._answer_bytes = max_message_bytes + PREFIX
        self._requests = Requests(address)
        self._opening = asyncio.Lock()
        self._connection: MultiplexedConnection | None = None
        self._open: list[MultiplexedConnection] = []  # with those that only end what they have begun
        self._closed = False

    async def send(self, call: Call, token: str) -> bytes:
        """One attempt.

        Raises:
            AttemptFailed: it failed.
        """
        request = self._requests.make(call, token)
        for _ in range(CONNECTIONS):
            connection = self._connection
            exchange = await connection.ask(request, call.ends) if connection and connection.is_open else None
            if exchange is None or (exchange.is_refused and not self._closed):
                await self._connect(call, instead_of=connection)
                continue
            if exchange.failed is not None and self._closed:
                raise AttemptFailed(closed(self._address))
            return reply(exchange, call, self._address)
        raise unsteady(self._address)

    async def _connect(self, call: Call, instead_of: MultiplexedConnection | None) -> None:
        try:
            async with asyncio.timeout(call.left), self._opening:
                if self._connection is instead_of and not self._closed:
                    self._connection = new = await self._connected()
                    self._open = [each for each in self._open if not each.is_gone] + [new]
                if self._closed:
                    await self._close_all()
                    raise AttemptFailed(closed(self._address))
        except TimeoutError:
            raise late(self._address, call) from None
        except OSError as error:
            raise no_connection(error, self._address) from None

    async def _connected(self) -> MultiplexedConnection:
        loop = asyncio.get_running_loop()
        address, context = self._address, self._tls
        transport, connection = await loop.create_connection(
            lambda: MultiplexedConnection(loop, ClientConnection(told, self._answer_bytes)),
            address.host,
            address.port,
            ssl=context,
            server_hostname=address.host if context else None,
        )
        try:
            tune(transport.get_extra_info("socket"))
            secure: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
            if secure is not None:
                check_protocol(secure, address)
        except BaseException:
            transport.abort()
            raise
        return connection

    async def close(self) -> None:
        """End the connection, and every call that is still under way."""
        self._closed = True
        await self._close_all()

    async def _close_all(self) -> None:
        await asyncio.gather(*[connection.close() for connection in self._open])
