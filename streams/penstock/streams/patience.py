"""Waiting for something that is away, without holding up a stop or a rebalance."""

from __future__ import annotations

import asyncio
import logging
import random
from time import monotonic

_log = logging.getLogger("penstock.streams")

_FIRST_WAIT = 0.1
_LONGEST_WAIT = 5.0  # how long a service may have been back before it is noticed
_SAY_EVERY = 10.0


class Abandoned(Exception):  # noqa: N818  (a decision, not an error)
    """The batch is given up and will be read again: the worker stops, or its partitions go to another."""


class Patience:
    """Says when the work in hand is to be given up; everything that waits, waits through this."""

    def __init__(self) -> None:
        self._hurry = asyncio.Event()

    def give_up(self) -> None:
        """End every wait, now and from now on, with `Abandoned`."""
        self._hurry.set()

    def resume(self) -> None:
        """Let waits wait again."""
        self._hurry.clear()

    async def pause(self, seconds: float) -> None:
        """Sleep.

        Raises:
            Abandoned: it is time to give up.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            return
        raise Abandoned


class BackOff:
    """The waits of one thing that is tried again and again: from 0.1 s doubling to 5 s, with jitter.

    What is away is told in the log at the first wait and then every ten seconds, not at each.
    """

    def __init__(self, patience: Patience, what: str) -> None:
        self._patience = patience
        self._what = what
        self._bound = _FIRST_WAIT
        self._since = self._said = 0.0

    async def wait(self, reason: str) -> None:
        """Wait before the next try.

        Raises:
            Abandoned: it is time to give up.
        """
        now = monotonic()
        self._since = self._since or now
        if not self._said or now - self._said >= _SAY_EVERY:
            self._said = now
            _log.warning("%s: %s; waiting since %.0f s, nothing is lost", self._what, reason, now - self._since)
        delay = random.uniform(self._bound / 2, self._bound)  # noqa: S311  (jitter, no secret)
        self._bound = min(self._bound * 2, _LONGEST_WAIT)
        await self._patience.pause(delay)

    def over(self) -> None:
        """Say that it is back, where it was said to be away."""
        if self._since:
            _log.info("%s: back after %.1f s", self._what, monotonic() - self._since)
            self._since = self._said = 0.0
            self._bound = _FIRST_WAIT
