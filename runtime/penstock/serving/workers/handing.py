"""Hands accepted connections from the parent to the workers, so that each has as many as the others.

With listening sockets in every worker (shared, or with SO_REUSEPORT) the kernel decides, by who wakes up first or by
a hash: of four clients with a connection each, all may end on one of two workers. The parent counts instead.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

# Travels with each handed connection, and back when it is closed.
TOKEN = b"c"
# Pause where no file descriptor is free, or every worker's pipe is full, seconds.
_PAUSE = 0.02


class Hand:
    """The parent's way to give connections to one worker.

    Attributes:
        open: connections that the worker has now.
        is_quiet: whether it was asked whether it is there, and has not answered.
    """

    def __init__(self, end: socket.socket) -> None:
        end.settimeout(0)
        self._end = end
        self.open = 0
        self.is_quiet = False

    def give(self, connection: socket.socket) -> bool:
        """Whether the worker got it; not where it does not keep up, or has ended."""
        try:
            socket.send_fds(self._end, [TOKEN], [connection.fileno()])
        except OSError:
            return False
        self.open += 1
        return True

    def count(self) -> None:
        """Read how many connections the worker has closed."""
        try:
            self.open -= len(self._end.recv(65536))
        except OSError:
            return

    def close(self) -> None:
        """Give no more."""
        self._end.close()


async def accept(listener: socket.socket, hands: Callable[[], list[Hand]]) -> NoReturn:
    """Accept connections and give each to the worker that has the fewest of those that answer, until cancelled.

    While there is no worker, connections wait.
    """
    loop = asyncio.get_running_loop()
    while True:
        try:
            connection, _ = await loop.sock_accept(listener)
        except OSError as error:  # no file descriptor free, or the caller has hung up again
            _log.warning("a connection could not be accepted: %s", error)
            await asyncio.sleep(_PAUSE)
            continue
        with connection:
            while not _gave(connection, hands()):  # noqa: ASYNC110  (no worker tells when it has room again)
                await asyncio.sleep(_PAUSE)


def _gave(connection: socket.socket, hands: list[Hand]) -> bool:
    for hand in hands:
        hand.count()
    return any(hand.give(connection) for hand in sorted(hands, key=lambda one: (one.is_quiet, one.open)))


class Taker:
    """The worker's side: takes what the parent hands over."""

    def __init__(self, end: socket.socket) -> None:
        end.settimeout(0)
        self._end = end
        self._unreported = 0

    def take(self) -> socket.socket | None:
        """The next connection, None where there is none now.

        Raises:
            EOFError: the parent is gone.
        """
        try:
            data, descriptors, _, _ = socket.recv_fds(self._end, 1, 1)
        except BlockingIOError:
            return None
        except OSError:
            raise EOFError from None
        if not data:
            raise EOFError
        if not descriptors:  # the kernel had none free for this process
            self.gone(1)
            return None
        connection = socket.socket(fileno=descriptors[0])
        connection.settimeout(0)
        return connection

    def gone(self, connections: int) -> None:
        """Report that so many have been closed."""
        self._unreported += connections
        try:
            self._unreported -= self._end.send(TOKEN * self._unreported)
        except OSError:
            return  # the parent is busy, and will hear it with the next one; or it is gone

    def fileno(self) -> int:
        """For the event loop."""
        return self._end.fileno()
