"""A stream run as a pipe: consume, ask, produce on librdkafka, membership after membership."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Final

from penstock.proto import PenstockError, ServiceError, SetupError, Unavailable

from .calls import caller
from .metrics import Metrics
from .patience import Abandoned, BackOff, Patience
from .pipe_errors import Rejoin
from .pipe_session import Session
from .processing import Processor
from .topics import ensure_topics

if TYPE_CHECKING:
    from collections.abc import Callable

    from .spec import Stream

_BEFORE_REJOINING: Final = 0.2
_FINAL: Final = frozenset({"NO_TOPIC", "BAD_SPEC"})

_log = logging.getLogger("penstock.streams")


class Worker:
    """One worker of a stream; several of one group share the partitions.

    Attributes:
        metrics: what it counts.
    """

    def __init__(self, stream: Stream) -> None:
        self.metrics = Metrics(stream.name)
        self._stream = stream
        self._stopping = False
        self._stopped = asyncio.Event()
        self._patience = Patience()
        self._back_off = BackOff(self._patience, f"Kafka at {stream.kafka.bootstrap}")
        self._session: Session | None = None
        self._is_ready = False

    async def run(self, ready: Callable[[], None]) -> None:
        """Run until `stop` is called; see `engine.Worker`."""

        def assigned() -> None:
            self._back_off.over()
            if not self._is_ready:
                self._is_ready = True
                ready()

        try:
            async with AsyncExitStack() as stack:
                if not await self._has_topics():
                    return
                answers = await stack.enter_async_context(caller(self._stream.service))
                # A batch that waits for the service is cancelled where it is to be given up; nobody hurries it.
                processor = Processor(self._stream, answers, Patience(), self.metrics)
                await self._memberships(processor, assigned)
        except (PenstockError, asyncio.CancelledError):
            raise
        except Exception as error:
            _log.exception("an error that nobody foresaw")
            said = f"the worker broke: {type(error).__name__}; the log has more"
            raise ServiceError(said, code="WORKER_BROKE") from None

    def stop(self) -> None:
        """Write what has its answers, commit, give back the rest, leave the group, and let `run` return."""
        self._stopping = True
        self._stopped.set()
        self._patience.give_up()
        if self._session is not None:
            self._session.stop()

    async def _memberships(self, processor: Processor, assigned: Callable[[], None]) -> None:
        while not self._stopping:
            self._session = Session(self._stream, processor, self.metrics, assigned)
            try:
                await self._session.run()
            except Rejoin as reason:
                if not self._stopping:
                    await self._before_rejoining(str(reason))

    async def _before_rejoining(self, reason: str) -> None:
        self.metrics.rejoined.inc()
        _log.warning("%s; joins the group anew, nothing is lost", reason)
        with suppress(Abandoned):
            await self._patience.pause(_BEFORE_REJOINING)
            while not await self._sees_topics():
                await self._back_off.wait("no broker that tells its topics")

    async def _sees_topics(self) -> bool:
        try:
            await self._has_topics()
        except Unavailable:
            return False
        except SetupError as error:
            if error.code in _FINAL:
                raise
            return False  # a broker that has just been started says many things
        return True

    async def _has_topics(self) -> bool:
        """See to the topics; false where the worker was stopped meanwhile."""
        looking = asyncio.ensure_future(ensure_topics(self._stream))
        stopped = asyncio.ensure_future(self._stopped.wait())
        await asyncio.wait({looking, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if looking.done():
            looking.result()
            return True
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        return False
