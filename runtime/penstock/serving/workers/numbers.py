"""The numbers of all workers, those that are no more included."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

from penstock.serving.exposition import summed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.serving.exposition import Family

    from .worker import Worker

# How often they are asked though nobody wants to know, seconds: so much at most is lost of one that is killed.
_EVERY = 1.0
# A worker whose event loop is held up by its model tells late; what it told last stands for it then, seconds.
_PATIENCE = 1.0


class Numbers:
    """What the workers count, and its sum."""

    def __init__(self, workers: Mapping[str, Worker]) -> None:
        """``workers`` are those that live, by name; looked at anew each time."""
        self._workers = workers
        self._told: dict[str, list[Family]] = {}
        self._retired: list[Family] = []

    async def all(self) -> list[Family]:
        """The sums over all workers, now."""
        await self._ask()
        return summed(self._told, self._retired)

    async def keep(self) -> NoReturn:
        """Ask from time to time, until cancelled: what was told outlives a worker that is killed."""
        while True:
            await asyncio.sleep(_EVERY)
            await self._ask()

    async def _ask(self) -> None:
        await asyncio.gather(*(self._ask_one(name, worker) for name, worker in self._workers.items()))

    async def _ask_one(self, name: str, worker: Worker) -> None:
        families = await worker.numbers(_PATIENCE)
        # Asked twice at once, or ended meanwhile: what is kept is told by this worker, not by the one before it.
        if families is not None and self._workers.get(name) is worker:
            self._told[name] = families

    def retire(self, name: str) -> None:
        """A worker has ended: its counters stay in the sum, its gauges do not."""
        last = self._told.pop(name, [])
        self._retired = [one for one in summed({name: last}, self._retired) if one.kind != "gauge"]
