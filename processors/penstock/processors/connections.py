"""One client, and so one channel, for all tasks and processors that call the same service the same way."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from penstock.client import Client, Retries, Tls

if TYPE_CHECKING:
    from .settings import Connection


def connect(connection: Connection) -> Client:
    """A client as ``connection`` says.

    Raises:
        SetupError: its address or another of its settings is wrong.
    """
    return Client(
        connection.address,
        deadline=connection.deadline,
        retries=Retries(attempts=connection.retries + 1),
        token=connection.token,
        tls=Tls(ca_file=connection.ca_file),
        max_message_bytes=connection.max_message_bytes,
    )


class Lease:
    """The use of a shared client, until it is given back."""

    def __init__(self, pool: Clients, connection: Connection, client: Client) -> None:
        self._pool = pool
        self._given_back = False
        self.connection = connection
        self.client = client

    def give_back(self) -> None:
        """End the use; the last user's closes the client. Doing it twice does nothing."""
        if not self._given_back:
            self._given_back = True
            self._pool.give_back(self.connection)


class Clients:
    """The clients in use in this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._in_use: dict[Connection, tuple[Client, int]] = {}

    def lease(self, connection: Connection) -> Lease:
        """The client of ``connection``.

        Raises:
            SetupError: its address or another of its settings is wrong.
        """
        with self._lock:
            client, users = self._in_use.get(connection) or (connect(connection), 0)
            self._in_use[connection] = (client, users + 1)
            return Lease(self, connection, client)

    def give_back(self, connection: Connection) -> None:
        """One user less; for `Lease`."""
        with self._lock:
            client, users = self._in_use.pop(connection)
            if users > 1:
                self._in_use[connection] = (client, users - 1)
                return
        client.close()

    def __len__(self) -> int:
        return len(self._in_use)


CLIENTS = Clients()
