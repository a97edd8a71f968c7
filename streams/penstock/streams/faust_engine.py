"""A stream run on Faust: what is opened, in which order, and closed again whatever happens."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from penstock.proto import PenstockError, ServiceError

from .calls import caller
from .delivery import Delivery
from .faust_app import make_app
from .gathering import record_of
from .metrics import Metrics
from .patience import Abandoned, Patience
from .processing import Processor
from .topics import ensure_topics

if TYPE_CHECKING:
    from collections.abc import Callable

    from .calls import Caller
    from .faust_app import StreamApp
    from .records import Record
    from .spec import Stream

_log = logging.getLogger("penstock.streams")

_STOP_WITHIN: Final = 30.0  # for the last batch, its commit and the farewell to the group


class Worker:
    """One worker of a stream; several of one group share the partitions.

    Attributes:
        metrics: what it counts.
    """

    def __init__(self, stream: Stream) -> None:
        self.metrics = Metrics(stream.name)
        self._stream = stream
        self._patience = Patience()
        self._stopping = False
        self._over: asyncio.Future[None]
        self._processor: Processor
        self._delivery: Delivery

    async def run(self, ready: Callable[[], None]) -> None:
        """Run until `stop` is called.

        Args:
            ready: called once partitions are assigned.

        Raises:
            SetupError, ModelLoadError, Unavailable: it cannot start; within ``start_timeout`` for a missing broker.
            PenstockError: it cannot go on. Nothing is lost: what has no outcome yet will be read again.
        """
        loop = asyncio.get_running_loop()
        self._over = loop.create_future()
        async with AsyncExitStack() as stack:
            await ensure_topics(self._stream)
            answers = await stack.enter_async_context(caller(self._stream.service))
            folder = stack.enter_context(TemporaryDirectory(prefix="penstock-stream-"))
            app = await self._open(answers, loop, Path(folder))
            stack.push_async_callback(self._close)
            app.on_startup_finished = _calling(ready)
            stack.push_async_callback(self._stop_app, app)
            await app.start()
            watch = loop.create_task(self._watch(app))
            stack.callback(watch.cancel)
            await self._over

    def stop(self) -> None:
        """Finish the batch in hand, commit, leave the group, and let `run` return."""
        self._stopping = True
        self._patience.give_up()
        if not self._over.done():
            self._over.set_result(None)

    async def batch(self, app: StreamApp, events: list[Any]) -> None:
        """Steps 2 to 5: read, ask, write, and wait until the broker has it."""
        started = perf_counter()
        records = [record_of(event) for event in events]
        self.metrics.records.inc(len(records))
        try:
            await self._insist(app, records)
        except Abandoned:
            self.metrics.abandoned.inc(len(records))
            raise
        self.metrics.acknowledged.inc(len(records))
        self.metrics.batch_seconds.observe(perf_counter() - started)
        for record in {event.message.tp: event.message for event in events}.values():
            self.metrics.lag(record.partition, max(0, (app.consumer.highwater(record.tp) or 0) - record.offset - 1))

    def failed(self, error: BaseException) -> None:
        """End `run` with ``error``."""
        self._stopping = True
        if not isinstance(error, PenstockError):
            _log.error("an error that nobody foresaw", exc_info=error)
            error = ServiceError(f"the worker broke: {type(error).__name__}; the log has more", code="WORKER_BROKE")
        if not self._over.done():
            self._over.set_exception(error)

    def hurry(self, *, on: bool) -> None:
        """Do not wait for anything while a rebalance goes on: the group waits for this worker."""
        if on or self._stopping:
            self._patience.give_up()
        else:
            self._patience.resume()

    async def _open(self, answers: Caller, loop: asyncio.AbstractEventLoop, folder: Path) -> StreamApp:
        """Make what the work needs, and the app that gives it out."""
        self._processor = Processor(self._stream, answers, self._patience, self.metrics)
        self._delivery = Delivery(self._stream, self._patience, self._processor.refused)
        return make_app(self._stream, self, loop, folder)

    async def _close(self) -> None:
        """End what `_open` has made, except the app."""
        await self._delivery.close()

    async def _outcome(self, records: list[Record]) -> None:
        """Steps 2 to 5 for a batch."""
        messages = await self._processor.process(records)  # steps 2 and 3: read and ask
        await self._delivery.deliver(messages)  # steps 4 and 5: write and wait for the broker

    async def _insist(self, app: StreamApp, records: list[Record]) -> None:
        while True:
            try:
                await self._outcome(records)
            except Abandoned:
                if self._stopping or app.rebalancing:
                    raise
                # The rebalance ended before anyone waited for this batch, which is still ours.
                self._patience.resume()
            else:
                return

    async def _watch(self, app: StreamApp) -> None:
        """Notice where Faust itself has come to an end."""
        await app.wait_until_stopped()
        if not self._stopping:
            reason = app.crash_reason
            self.failed(ServiceError(f"Faust has stopped: {type(reason).__name__}: {reason}", code="FAUST_STOPPED"))

    async def _stop_app(self, app: StreamApp) -> None:
        try:
            async with asyncio.timeout(_STOP_WITHIN):
                await app.stop()
        except TimeoutError:
            _log.warning("Faust did not stop within %g s; its partitions go to others by themselves", _STOP_WITHIN)


def _calling(ready: Callable[[], None]) -> Any:
    async def called() -> None:
        ready()

    return called
