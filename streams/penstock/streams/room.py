"""How much may be asked at the same time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Room:
    """At most so many calls, with at most so many rows together; a call alone may have more.

    A service has a queue of so many rows and refuses what is more; one worker must not fill it by itself.
    """

    def __init__(self, calls: int, rows: int) -> None:
        self._most_calls = calls
        self._most_rows = rows
        self._calls = self._rows = 0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def taken(self, rows: int) -> AsyncIterator[None]:
        """Take the room for one call of ``rows`` rows, waiting until it is there."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._fits(rows))
            self._calls += 1
            self._rows += rows
        try:
            yield
        finally:
            async with self._changed:
                self._calls -= 1
                self._rows -= rows
                self._changed.notify_all()

    def _fits(self, rows: int) -> bool:
        if self._calls == 0:
            return True
        return self._calls < self._most_calls and self._rows + rows <= self._most_rows
