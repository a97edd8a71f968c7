"""A worker of the MQTT door. What happens to a request, step by step; docs/mqtt.md says what follows from a cut.

1. **take**: the broker has sent it, and keeps it until it is acknowledged; one that comes again is not taken twice.
2. **ask**: it is read, and the models are asked, many requests at once.
3. **reply**: the reply is published with QoS 1.
4. **confirm**: the broker has the reply.
5. **acknowledge**: the broker forgets the request.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final

from penstock.proto import PenstockError, SetupError
from penstock.streams.patience import Abandoned, BackOff, Patience

from .answering import answerer
from .book import Book
from .link import ERRORS, NOBODY_LISTENS, Link, LinkLost
from .metrics import MqttMetrics
from .opening import Will
from .places import Places, State
from .requests import read_request
from .standing_in import StandIns

if TYPE_CHECKING:
    from collections.abc import Callable

    from .answering import Answerer
    from .link import Arrival
    from .replies import Reply
    from .requests import Request
    from .settings import ServerSettings

_log = logging.getLogger("penstock.streams.mqtt")

_LOOK_AGAIN: Final = 0.01
_STATUS_COMES: Final = 1.0  # seconds after the subscription, if there is one


class Worker:
    """Takes requests from a broker, asks the models, and publishes the replies.

    Args:
        settings: of the service.
        name: of this worker, which no other worker of the service has at the same time. A worker that is started
            again under its name gets what was sent to it meanwhile.
    """

    def __init__(self, settings: ServerSettings, name: str = "1") -> None:
        self._settings = settings
        self._identifier = f"{settings.id}-{name}"
        self._places = Places(settings.status_topic, name, [model.name for model in settings.models])
        self._listened = [_listened(settings, pair.requests) for pair in settings.pairs]
        self._stand_ins = StandIns(settings, self._places, self._listened, self._take, self._is_busy)
        self._patience = Patience()
        self._book = Book(settings.remember)
        self._hand: dict[Request, Reply | None] = {}
        self._unread: deque[Request] = deque()
        self._link: Link | None = None
        self._work = asyncio.Event()
        self._stopping = asyncio.Event()
        self.metrics = MqttMetrics(settings.id)
        self.metrics.in_hand.set_function(lambda: len(self._hand))

    def stop(self) -> None:
        """Finish what is in hand, then end; a service that is away is not waited for."""
        self._stopping.set()
        self._patience.give_up()

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until `stop`.

        Args:
            ready: called at each connection, once the broker knows what we listen at.

        Raises:
            PenstockError: it cannot start, or cannot go on.
        """
        try:
            async with answerer(self._settings, self._patience, self.metrics) as answers:
                answering = asyncio.create_task(self._answer(answers))
                try:
                    await self._stay_connected(ready, answering)
                finally:
                    await self._stand_ins.stop()
                    answering.cancel()
                    with suppress(asyncio.CancelledError, Abandoned, PenstockError):
                        await answering
        except Abandoned:
            return

    async def _stay_connected(self, ready: Callable[[], None], answering: asyncio.Task[None]) -> None:
        back_off = BackOff(self._patience, f"{self._settings.broker.host}:{self._settings.broker.port}")
        started, times = monotonic(), 0
        while not self._stopping.is_set():
            will = Will(self._places.topic(), self._places.status(State.LOST))
            link = Link(
                self._settings.broker,
                self._identifier,
                in_flight=self._settings.in_flight,
                session_expiry=self._settings.broker.session_expiry,
                will=will,
            )
            try:
                async with link:
                    await link.subscribe([self._places.all], retained=True)
                    if times:
                        await self._check_name(link)
                    await link.subscribe(self._listened)
                    back_off.over()
                    times += 1
                    self.metrics.reconnects.inc(1 if times > 1 else 0)
                    await self._serve(link, ready, answering)
            except LinkLost as error:
                if not times and monotonic() - started > self._settings.broker.start_timeout:
                    raise SetupError(error.message, code="BROKER_AWAY") from None
                await back_off.wait(error.message)
            finally:
                self._link = None

    async def _serve(self, link: Link, ready: Callable[[], None], answering: asyncio.Task[None]) -> None:
        """Serve over one connection, until it is lost, `stop` is called, or the answering cannot go on."""
        self._link = link
        link.publish(self._places.topic(), self._places.status(State.ONLINE), retain=True)
        for request, reply in self._hand.items():  # made while there was no connection, or lost with the last one
            if reply is not None:
                self._publish(link, request, reply)
        ready()
        taking = asyncio.create_task(self._take_from(link))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({taking, stopping, answering}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            taking.cancel()
            stopping.cancel()
            outcome = (await asyncio.gather(taking, stopping, return_exceptions=True))[0]
        if isinstance(outcome, PenstockError):
            raise outcome
        if self._stopping.is_set():
            await self._finish(answering)
        await self._stand_ins.stop()
        await link.published(self._places.topic(), self._places.status(State.OFFLINE), retain=True)
        if answering.done() and not self._stopping.is_set():
            answering.result()

    async def _finish(self, answering: asyncio.Task[None]) -> None:
        """Let what is in hand be answered, unless a service is away; the rest stays with the broker."""
        until = monotonic() + self._settings.drain
        while monotonic() < until:
            left = [reply for reply in self._hand.values() if reply is not None or not answering.done()]
            if not left:
                return
            await asyncio.sleep(_LOOK_AGAIN)

    async def _take_from(self, link: Link) -> None:
        while True:
            for arrival in await link.arrived(self._settings.in_flight):
                self._take(arrival)
            await asyncio.sleep(0)

    async def _check_name(self, link: Link) -> None:
        """Make sure that our name is still ours; the status comes first, before it is replaced by a new one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_STATUS_COMES):
                while True:
                    for arrival in await link.arrived(1):
                        self._take(arrival)
                        if arrival.topic == self._places.topic():
                            self._places.check_own(arrival)
                            return

    def _take(self, arrival: Arrival) -> None:
        if self._places.is_status(arrival):
            arrival.acknowledge()
            self._places.heard(arrival)
            if self._settings.share:
                self._stand_ins.look()
            return
        tenants = (pair.tenant(arrival.topic) for pair in self._settings.pairs)
        tenant = next((each for each in tenants if each is not None), None)
        if tenant is None or arrival.is_retained:
            arrival.acknowledge()  # of a subscription that a former server.json has left, or not a request at all
            return
        request = read_request(self._settings, tenant, arrival)
        if request.is_known_again:
            same = self._book.in_hand(request.key)
            if same is not None:
                self.metrics.duplicates.inc()
                same.arrivals.append(arrival)
                return
            if self._book.is_answered(tenant.name, request.key):
                self.metrics.duplicates.inc()
                arrival.acknowledge()
                return
        self.metrics.request(tenant.name)
        self._book.take(request)
        self._hand[request] = None
        self._unread.append(request)
        self._work.set()

    async def _answer(self, answers: Answerer) -> None:
        batch = self._settings.batch
        while True:
            await self._work.wait()
            if batch.wait and len(self._unread) < batch.records:
                await asyncio.sleep(batch.wait)
            some = [self._unread.popleft() for _ in range(min(batch.records, len(self._unread)))]
            if not self._unread:
                self._work.clear()
            wanted = [request for request in some if self._is_wanted(request)]
            if not wanted:
                continue
            for request, reply in zip(wanted, await answers.answer(wanted), strict=True):
                self._hand[request] = reply
                if self._link is not None:
                    self._publish(self._link, request, reply)
            await asyncio.sleep(0)  # the connection's turn: what has come meanwhile is the next batch

    def _is_wanted(self, request: Request) -> bool:
        if request.expires is None or monotonic() < request.expires:
            return True
        self.metrics.expired.inc()
        self._close(request)
        self._book.dropped(request)
        return False

    def _publish(self, link: Link, request: Request, reply: Reply) -> None:
        link.publish(request.reply_to, reply.payload, reply.about, done=partial(self._confirmed, request))

    def _confirmed(self, request: Request, code: int) -> None:
        if code >= ERRORS:
            _log.warning("the broker does not take replies at %s (reason code %d)", request.reply_to, code)
            self.metrics.refused.inc()
        elif code == NOBODY_LISTENS:
            self.metrics.unheard.inc()
        if request in self._hand:
            self.metrics.reply(request.tenant.name, monotonic() - request.since)
            self._book.answered(request)
            self._close(request)

    def _close(self, request: Request) -> None:
        del self._hand[request]
        for arrival in request.arrivals:
            arrival.acknowledge()

    def _is_busy(self, link: Link) -> bool:
        return any(arrival.link is link for request in self._hand for arrival in request.arrivals)


def _listened(settings: ServerSettings, pattern: str) -> str:
    return f"$share/{settings.share}/{pattern}" if settings.share else pattern
