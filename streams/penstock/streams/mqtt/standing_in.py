"""Answering what waits for a worker that is away: nothing new is dealt to it then, and what it has left is taken."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Final

from penstock.proto import PenstockError

from .link import Link
from .opening import Will
from .places import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .link import Arrival
    from .places import Places
    from .settings import ServerSettings

_log = logging.getLogger("penstock.streams.mqtt")

# Until one of them stands in, so that not all do; and a worker that is started again at once keeps its place.
_WAIT: Final = 0.5, 2.0
_QUIET: Final = 1.0  # without anything new nothing more waits


class StandIns:
    """The workers that this one stands in for.

    Args:
        settings: of the service.
        places: what is known of its workers.
        listened: the topics of requests, as they are subscribed to.
        take: takes a request in hand.
        is_busy: whether something that came over a connection is still in hand.
    """

    def __init__(
        self,
        settings: ServerSettings,
        places: Places,
        listened: Sequence[str],
        take: Callable[[Arrival], None],
        is_busy: Callable[[Link], bool],
    ) -> None:
        self._settings = settings
        self._places = places
        self._listened = listened
        self._take = take
        self._is_busy = is_busy
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def look(self) -> None:
        """Begin for those that are away."""
        for name in self._places.away():
            if name not in self._tasks or self._tasks[name].done():
                self._tasks[name] = asyncio.create_task(self._stand_in(name))

    async def stop(self) -> None:
        """Leave what is not answered to others."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _stand_in(self, name: str) -> None:
        await asyncio.sleep(random.uniform(*_WAIT))  # noqa: S311  (no secret)
        if name not in self._places.away():
            return
        broker, topic = self._settings.broker, self._places.topic(name)
        will = Will(topic, self._places.status(State.LOST))
        identifier = f"{self._settings.id}-{name}"
        try:
            async with Link(
                broker, identifier, in_flight=self._settings.in_flight, session_expiry=broker.session_expiry, will=will
            ) as link:
                link.publish(topic, self._places.status(State.IN_CARE), retain=True)
                await self._wind_up(link, name, topic)
        except PenstockError as error:
            # It is back itself, or another one stands in; if not, the broker publishes the will and we look again.
            _log.info("no longer standing in for worker %s: %s", name, error.message)

    async def _wind_up(self, link: Link, name: str, topic: str) -> None:
        is_done, taken = not link.had_session, 0
        try:
            if link.had_session:
                _log.info("worker %s is away: answering what waits for it", name)
                await link.unsubscribe([*self._listened, self._places.all])
            while not is_done:
                try:
                    async with asyncio.timeout(_QUIET):
                        arrivals = await link.arrived(self._settings.in_flight)
                except TimeoutError:
                    is_done = not self._is_busy(link)
                else:
                    for arrival in arrivals:
                        taken += not self._places.is_status(arrival)
                        self._take(arrival)
        finally:
            left = b"" if is_done else self._places.status(State.OFFLINE)
            await link.published(topic, left, retain=True)
        _log.info("worker %s: nothing waits for it any more; %d requests taken", name, taken)
