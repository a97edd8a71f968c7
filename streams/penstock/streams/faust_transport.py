"""Faust's Kafka transport with four changes; the first two are most of what makes a stream fast.

Faust wraps the delivery of each record in four tasks, so that a delivery that blocks can be broken off by a rebalance
or a stop. A delivery only blocks where the flow is suspended or the stream's queue is full; else it is a plain call.

Where the queue is full, Faust takes the partition out of those that are fetched, and where that was the last one it
sleeps for a second. Here the fetcher waits until half of the queue has been taken.

Faust also reads records of transactions that were never committed; they are not answered here. And it finds the
offset to commit from a list of acknowledged ones, which ends for good where offsets are missing behind the first
record (compacted topics, transactions). A stream works on its records in order, so the last one is enough.
"""

from __future__ import annotations

import logging
from typing import Any

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]
from faust.transport.drivers import aiokafka
from mode.services import WaitResults

_log = logging.getLogger("penstock.streams")

# What Faust would be told, and does not look at.
_DONE = WaitResults([], [], stopped=False)


class _Thread(aiokafka.AIOKafkaConsumerThread):
    """The thread that fetches; it skips what an aborted transaction has left."""

    def _create_worker_consumer(self, transport: aiokafka.Transport) -> Any:
        consumer: Any = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # Faust has no setting for it; read when the consumer starts
        return consumer


class Consumer(aiokafka.Consumer):
    """Delivers without tasks where nothing can block, and waits for room where there is none."""

    app: Any

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def wait_first(self, *coros: Any, timeout: Any = None) -> WaitResults:  # noqa: ASYNC109  (Faust's)
        """Called for each record with its delivery, and with what breaks a delivery off."""
        if len(coros) != 2 or self.app.source_queue is None:
            return await super().wait_first(*coros, timeout=timeout)
        delivery, broken_off = coros
        if self.app.source_queue.full():
            self.app.drained.clear()
            await super().wait_first(self.app.drained.wait(), self.suspend_flow.wait())
        if self._is_blocked():
            return await super().wait_first(delivery, broken_off)
        broken_off.close()
        await delivery
        return _DONE

    async def commit_through(self, last: dict[Any, int]) -> None:
        """Write down that all records up to these offsets are done.

        Args:
            last: for each partition, the offset of the last record; what was taken away meanwhile is left out.
        """
        ours = self.assignment()
        offsets = {part: offset + 1 for part, offset in last.items() if part in ours}
        try:
            if offsets:
                await self._commit(offsets)
        except KafkaError as error:
            # The next batch writes down more than this one; a kill before that doubles both, and loses nothing.
            _log.warning("the offsets are not written down yet: %s", type(error).__name__)

    async def _add_gap(self, tp: Any, offset_from: int, offset_to: int) -> None:
        """Missing offsets need no book: `commit_through` passes over them."""

    def verify_event_path(self, now: float, tp: Any) -> None:
        """Faust's warnings of streams that stand still look at counters that are not kept here."""

    def _is_blocked(self) -> bool:
        flows = self.flow_active and self.app.flow_control.is_active()
        return not flows or self.app.source_queue.full()

    def on_buffer_full(self, tp: Any) -> None:
        """Go on fetching: `wait_first` waits for room."""

    def on_buffer_drop(self, tp: Any) -> None:
        """Nothing was stopped."""


class Transport(aiokafka.Transport):
    """Faust's transport with this module's consumer."""

    Consumer = Consumer
