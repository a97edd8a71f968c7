"""Calls over gRPC on our own HTTP/2, for threads."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final

from penstock.http2.client import ClientConnection

from ._failures import AttemptFailed, closed
from ._rpc import PREFIX, Requests, reply, told
from ._rpc_failures import late, unsteady
from ._shared import SharedConnection
from ._sockets import connected, rpc_context

if TYPE_CHECKING:
    from ._address import Address
    from ._call import Call
    from ._settings import Tls

CONNECTIONS: Final = 3  # for one attempt, where the service takes no request on the ones before


class Http2Transport:
    """A connection that threads share; a new one where the service has ended it."""

    def __init__(self, address: Address, tls: Tls, max_message_bytes: int) -> None:
        self._address = address
        self._tls = rpc_context(address, tls)
        self._answer_bytes = max_message_bytes + PREFIX
        self._requests = Requests(address)
        self._opening = Lock()
        self._connection: SharedConnection | None = None
        self._open: list[SharedConnection] = []  # with those that only end what they have begun
        self._closed = False

    def send(self, call: Call, token: str) -> bytes:
        """One attempt.

        Raises:
            AttemptFailed: it failed.
        """
        request = self._requests.make(call, token)
        for _ in range(CONNECTIONS):
            connection = self._connection
            exchange = connection.ask(request, call.ends) if connection else None
            if exchange is None or (exchange.is_refused and not self._closed):
                self._connect(call, instead_of=connection)
                continue
            if exchange.failed is not None and self._closed:
                raise AttemptFailed(closed(self._address))
            return reply(exchange, call, self._address)
        raise unsteady(self._address)

    def _connect(self, call: Call, instead_of: SharedConnection | None) -> None:
        if not self._opening.acquire(timeout=call.left):
            raise late(self._address, call)
        try:
            if self._connection is instead_of and not self._closed:
                http2 = ClientConnection(told, self._answer_bytes)
                self._connection = new = SharedConnection(connected(self._address, self._tls, call), http2)
                self._open = [each for each in self._open if not each.is_closed] + [new]
            if self._closed:
                self._close_all()
                raise AttemptFailed(closed(self._address))
        finally:
            self._opening.release()

    def close(self) -> None:
        """End the connection, and every call that is still under way."""
        self._closed = True
        self._close_all()

    def _close_all(self) -> None:
        for connection in self._open:
            connection.close()
