"""The open connections of a service: who is slow is hung up on, and a stop waits for what they still have to answer."""

from __future__ import annotations

import asyncio
from time import gmtime
from typing import TYPE_CHECKING, Final, Protocol

from .arrivals import Arrivals
from .turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# How often is looked for the slow, seconds: one timer for all, so that a request costs none.
_EVERY: Final = 1.0

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Connection(Protocol):
    """A protocol on a connection; it adds itself to `Connections` when it is made, and takes itself out when lost."""

    def check(self, now: float) -> None:
        """Hang up where the peer has been idle, or slow, for too long; ``now`` is as in `Connections`."""

    def drain(self) -> None:
        """Take nothing new, answer what came, then hang up: at once, where there is nothing to answer."""

    def abort(self) -> None:
        """Hang up, now."""


class Connections:
    """All open connections.

    Args:
        is_busy: whether another thread of this process wants the core, see `Turns`.

    Attributes:
        now: the loop's time, seconds, not older than a second: enough to tell the slow, and free.
        date: the line of that name in answers, RFC 9110, 6.6.1.
        on_close: called when there may be one less.
        turns: for those who have more to be worked off than others should wait for.
        arrivals: for those of them that are not to be read before it is their turn.
    """

    def __init__(self, is_busy: Callable[[], bool] = bool) -> None:
        self.now = 0.0
        self.date = b""
        self.on_close: Callable[[], object] = int
        self.turns = Turns(is_busy)
        self.arrivals = Arrivals()
        self._all: set[Connection] = set()
        self._draining = False
        self._empty = asyncio.Event()
        self._empty.set()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle
        self._look()

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def add(self, connection: Connection) -> None:
        """One more."""
        self._all.add(connection)
        self._empty.clear()
        if self._draining:  # accepted by the kernel before, by us after the listener was closed
            self._loop.call_soon(connection.drain)

    def discard(self, connection: Connection) -> None:
        """One less."""
        self._all.discard(connection)
        self.on_close()
        if not self._all:
            self._empty.set()

    def _look(self) -> None:
        self.now = self._loop.time()
        self.date = b"date: %s\r\n" % _date().encode()
        for connection in self:
            connection.check(self.now)
        self._timer = self._loop.call_later(_EVERY, self._look)

    async def stop(self, grace: float) -> None:
        """Drain all; hang up on who is not done within ``grace`` seconds."""
        self._draining = True
        for connection in self:
            connection.drain()
        try:
            async with asyncio.timeout(grace):
                await self._empty.wait()
        except TimeoutError:
            for connection in self:
                connection.abort()
            await self._empty.wait()
        self._timer.cancel()
        self.arrivals.close()


def _date() -> str:
    """Now, as RFC 9110, 5.6.7 has it; email.utils would, too, but brings 20 modules to a start that should be short."""
    now = gmtime()
    return (
        f"{_DAYS[now.tm_wday]}, {now.tm_mday:02} {_MONTHS[now.tm_mon - 1]} {now.tm_year} "
        f"{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02} GMT"
    )
