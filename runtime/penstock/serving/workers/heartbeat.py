"""Notices a worker that lives and does not answer: its event loop is blocked, or its process is stopped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .worker import Worker

# Questions in the time after which it counts as hung. After one without an answer it gets no new connections.
_BEATS: Final = 10


async def hung(worker: Worker, seconds: float) -> None:
    """Return when ``worker`` has said nothing for ``seconds``.

    Counted in questions, not by the clock: a parent that was stopped itself, with all of its container perhaps, finds a
    lot of time gone, and no worker is to blame for that.
    """
    missed = 0
    while missed < _BEATS:
        worker.beat()
        await asyncio.sleep(seconds / _BEATS)
        missed = 0 if worker.has_spoken else missed + 1
        worker.hand.is_quiet = missed > 0
