"""HTTP connections that wait for their next call."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import httpcore

_C = TypeVar("_C", httpcore.ConnectionInterface, httpcore.AsyncConnectionInterface)


class Idle(Generic[_C]):
    """Connections that nobody uses now, the one used last on top.

    httpcore's own pool looks at every connection for every connection: at 64 callers that took longer than the calls.
    """

    def __init__(self) -> None:
        self._waiting: deque[_C] = deque()
        self._ended = False

    def take(self) -> _C | None:
        """The connection that was used last, or None."""
        try:
            return self._waiting.pop()
        except IndexError:
            return None

    def take_expired(self) -> _C | None:
        """The connection that was not used for longest, where it is no longer good: a burst leaves nothing behind."""
        try:
            oldest = self._waiting.popleft()
        except IndexError:
            return None
        if oldest.has_expired():
            return oldest
        self._waiting.appendleft(oldest)
        return None

    def give(self, connection: _C) -> bool:
        """Keep a connection for the next call; False where there will be none."""
        if not self._ended:
            self._waiting.append(connection)
        return not self._ended

    def end(self) -> list[_C]:
        """Keep nothing from now on; what was kept."""
        self._ended = True
        kept = list(self._waiting)
        self._waiting.clear()
        return kept
