"""Waiting until a socket can be read or written, or until another thread wants something."""

from __future__ import annotations

import select
import socket
from math import ceil
from typing import Any, Final

_LONGEST: Final = 3600.0  # seconds; what waits longer waits again


class Readiness:
    """Of one socket that does not block. One thread waits at a time; any may `wake` it.

    Attributes:
        is_writing: the wait ends when the socket can be written, too.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.is_writing = False
        self._bell, self._rope = socket.socketpair()
        self._bell.settimeout(0)
        self._rope.settimeout(0)
        self._poll = select.poll() if hasattr(select, "poll") else None  # Windows has none
        if self._poll is not None:
            self._poll.register(self._bell, select.POLLIN)
            self._poll.register(connection, select.POLLIN)

    def watch_writing(self) -> None:
        """From now on the wait ends when the socket can be written, too; also one that has begun."""
        if not self.is_writing:
            self._set(is_writing=True)
            self.wake()

    def unwatch_writing(self) -> None:
        """There is nothing to write."""
        if self.is_writing:
            self._set(is_writing=False)

    def _set(self, *, is_writing: bool) -> None:
        self.is_writing = is_writing
        if self._poll is not None:
            self._poll.modify(self._connection, select.POLLIN | (select.POLLOUT if is_writing else 0))

    def wait(self, seconds: float) -> bool:
        """Whether the socket can be used, or `wake` was called, within ``seconds``."""
        if self._poll is not None:
            ready: list[Any] = self._poll.poll(ceil(min(seconds, _LONGEST) * 1000))
            rung = len(ready) > 1 or (ready and ready[0][0] == self._bell.fileno())
        else:
            writing = [self._connection] if self.is_writing else []
            readable, writable, _ = select.select([self._connection, self._bell], writing, [], min(seconds, _LONGEST))
            ready, rung = readable + writable, self._bell in readable
        if rung:
            self._hush()
        return bool(ready)

    def wake(self) -> None:
        """End the wait of another thread."""
        try:
            self._rope.send(b"\0")
        except OSError:  # full: it will wake up; closed: nobody waits
            return

    def _hush(self) -> None:
        try:
            self._bell.recv(4096)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Give back what it holds, but for the socket itself."""
        self._bell.close()
        self._rope.close()
