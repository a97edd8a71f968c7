"""Reading: the thread that asks librdkafka for records, and is told of rebalances.

Rebalances are eager: all partitions are revoked before some are assigned again. What was read between an assignment
and its end is an `Epoch`; nothing of one that is over is ever written.
"""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

from confluent_kafka import Consumer, KafkaException

from .pipe_errors import Rejoin, raised
from .pipe_settings import LONGEST_POLL, consumer_settings
from .records import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import KafkaError, Message, TopicPartition

    from .spec import Stream

_POLL: Final = 0.1  # how late a stop is noticed where no records come
# Without room for so long, the partitions are paused and polling goes on, so that the group keeps this worker.
_PAUSE_AFTER: Final = 0.5
_WATERMARKS_EVERY: Final = 2.0
_SERVE_EVERY: Final = 0.005
_new: Final = tuple.__new__
_OF_A_POLL: Final = 0.8  # of the longest time between two polls, a rebalance may wait for what is being written
# What is in memory at most: batches being processed or written, and the bytes of their records.
_MOST_BATCHES: Final = 16
_MOST_BYTES: Final = 32 << 20


class Epoch:
    """One assignment of partitions, until it is revoked.

    Attributes:
        membership: what the broker knows the group's member by, as it was at the assignment.
        is_over: nothing more is begun.
        settled: set once nothing more will be written.
    """

    def __init__(self, membership: Any) -> None:
        self.membership = membership
        self.is_over = False
        self.settled = threading.Event()


class Batch:
    """Records that were read together.

    Attributes:
        epoch: they belong to.
        records: in order within each partition.
        size: bytes of keys and values.
        taken: when, on the clock of `time.perf_counter`.
    """

    __slots__ = ("epoch", "records", "size")

    def __init__(self, epoch: Epoch, records: list[Record]) -> None:
        self.epoch = epoch
        self.records = records
        self.size = sum(len(record.value or b"") + len(record.key or b"") for record in records)


class Taker(Protocol):
    """Who gets the records; called in the thread of the intake."""

    def assigned(self, epoch: Epoch) -> None:
        """Partitions were assigned."""

    def revoked(self, epoch: Epoch) -> None:
        """They are about to be taken away: write what can be written now, and set ``epoch.settled``."""

    def came(self, batch: Batch) -> None:
        """Records have come."""

    def ended(self, error: BaseException | None) -> None:
        """The intake has left the group, on request or because of ``error``."""

    def noticed(self, error: KafkaError) -> None:
        """Something is not well, which librdkafka sees to."""

    def watermarks(self, high: dict[int, int]) -> None:
        """The end of each partition that is assigned."""


class _Reassigned(Exception):  # noqa: N818  (a signal)
    """Ends a call to librdkafka in which records of two epochs might meet."""


class Intake:
    """The consumer of one membership, in a thread of its own."""

    def __init__(self, stream: Stream, taker: Taker) -> None:
        self._stream = stream
        self._taker = taker
        self._epoch: Epoch | None = None
        self._room = threading.Condition()
        self._batches = self._bytes = 0
        self._typical = 1024  # bytes of a record, as they were lately
        self._held: list[Message] = []
        self._in_bulk = False
        self._closing = False
        self._left = threading.Event()
        self._commits: deque[tuple[list[TopicPartition], Callable[[BaseException | None], None]]] = deque()
        self._looked = 0.0
        self._consumer: Consumer
        self._thread = threading.Thread(target=self._run, daemon=True, name="penstock-intake")

    def start(self) -> None:
        """Join the group."""
        # Not before: the thread closes it, and one that nobody closes is destroyed by whoever drops it last, perhaps
        # the event loop; where a broker was away that may never end (librdkafka's issues 4131 and 4674).
        self._consumer = Consumer(consumer_settings(self._stream) | {"error_cb": self._taker.noticed})
        self._thread.start()

    def close(self) -> None:
        """Leave the group; `Taker.ended` is called at the end."""
        with self._room:
            self._closing = True
            self._room.notify()

    def done(self, batch: Batch) -> None:
        """``batch`` is no longer in memory."""
        with self._room:
            self._batches -= 1
            self._bytes -= batch.size
            self._room.notify()

    def commit(self, offsets: list[TopicPartition], told: Callable[[BaseException | None], None]) -> None:
        """Commit offsets outside of a transaction; ``told`` is called in the thread of the intake.

        Only there: librdkafka lets another thread's commit wait until a rebalance is over that waits for it.
        """
        with self._room:
            self._commits.append((offsets, told))
            self._room.notify()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._consumer.subscribe(
                [self._stream.source.topic],
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_lost,
            )
            while not self._closing:
                self._step()
        except KafkaException as failed:
            error = raised(failed.args[0], "reading", self._stream.kafka)
        except BaseException as failed:  # handed on
            error = failed
        if error is not None and self._epoch is not None:
            self._epoch.is_over = True
        self._taker.ended(error)
        while not self._left.wait(_SERVE_EVERY):
            self._serve()
        self._serve()
        self._consumer.close()

    def leave(self) -> None:
        """Leave the group; blocks."""
        self._left.set()
        self._thread.join()

    def _serve(self) -> None:
        """Commit what waits to be committed."""
        while self._commits:
            offsets, told = self._commits.popleft()
            try:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            except KafkaException as error:
                told(error)
            else:
                told(None)

    def _step(self) -> None:
        self._serve()
        if not self._has_room(_PAUSE_AFTER):
            if not self._commits:
                self._pause_until_room()
            return
        records = self._records(self._take())
        epoch = self._epoch
        if records and epoch is not None:  # else it was revoked: whoever has the partitions next reads them again
            batch = Batch(epoch, records)
            self._typical = max(1, batch.size // len(records))
            with self._room:
                self._batches += 1
                self._bytes += batch.size
            self._taker.came(batch)
        if epoch is not None and monotonic() - self._looked > _WATERMARKS_EVERY:
            self._look()

    def _has_room(self, within: float) -> bool:
        with self._room:
            self._room.wait_for(lambda: self._commits or self._closing or self._is_roomy(), within)
            return self._closing or self._is_roomy()

    def _is_roomy(self) -> bool:
        return self._batches < _MOST_BATCHES and self._bytes < _MOST_BYTES

    def _pause_until_room(self) -> None:
        """Poll, so that the broker sees a living member and rebalances are served, but take no records."""
        paused: Epoch | None = None
        while not self._has_room(0):
            self._serve()
            if self._epoch is not paused:
                paused = self._epoch
                self._consumer.pause(self._consumer.assignment())
            message = self._consumer.poll(_POLL)
            if message is not None:
                # It came with an assignment, before that could be paused; or it is an error.
                self._held.append(message)
        if paused is not None and paused is self._epoch:
            self._consumer.resume(self._consumer.assignment())

    def _take(self) -> list[Message]:
        """What is there, without waiting for more than the spec says; nothing where nothing comes."""
        batch = self._stream.batch
        messages, self._held = self._held, []
        if not messages:
            first = self._consumer.poll(_POLL)
            if first is None:
                return []
            messages = [first]
        most = max(1, min(batch.records, (_MOST_BYTES - self._bytes) // self._typical))
        ends = monotonic() + batch.wait
        epoch = self._epoch
        while len(messages) < most and not self._closing and self._epoch is epoch:
            left = max(0.0, min(_POLL, ends - monotonic()))
            messages += self._bulk(most - len(messages), left)
            if not left:
                break
        return messages if self._epoch is epoch else []

    def _bulk(self, most: int, within: float) -> list[Message]:
        self._in_bulk = True
        try:
            return self._consumer.consume(most, within)
        except _Reassigned:
            return []
        finally:
            self._in_bulk = False

    def _records(self, messages: list[Any]) -> list[Record]:
        topic, records = self._stream.source.topic, []
        for message in messages:
            error = message.error()
            if error is not None:
                self._trouble(error)
                continue
            place = (topic, message.partition(), message.offset(), message.timestamp()[1])
            # Past the constructor of a named tuple, which takes as long as all the rest.
            records.append(_new(Record, (*place, message.key(), message.value(), message.headers() or [])))
        return records

    def _trouble(self, error: KafkaError) -> None:
        """Most errors are librdkafka's own to get over; it goes on by itself."""
        ours = raised(error, "reading", self._stream.kafka)
        if error.fatal() or not isinstance(ours, Rejoin) or error.code() == error._MAX_POLL_EXCEEDED:
            raise ours
        self._taker.noticed(error)

    def _look(self) -> None:
        self._looked = monotonic()
        high = {}
        for partition in self._consumer.assignment():
            _, end = self._consumer.get_watermark_offsets(partition, cached=True)
            if end >= 0:
                high[partition.partition] = end
        self._taker.watermarks(high)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._epoch = Epoch(consumer.consumer_group_metadata())
        consumer.assign(partitions)
        consumer.resume(partitions)  # librdkafka still has them paused where that was so in an earlier assignment
        self._taker.assigned(self._epoch)
        if self._in_bulk:
            raise _Reassigned

    def _on_revoke(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        epoch, self._epoch = self._epoch, None
        self._held.clear()
        if epoch is not None:
            self._taker.revoked(epoch)
            ends = monotonic() + LONGEST_POLL * _OF_A_POLL
            while not epoch.settled.wait(_SERVE_EVERY):
                self._serve()
                if monotonic() > ends:
                    consumer.unassign()
                    raise Rejoin("a rebalance waited too long for what was being written")
        consumer.unassign()

    def _on_lost(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        epoch, self._epoch = self._epoch, None
        if epoch is not None:
            epoch.is_over = True
        consumer.unassign()
        raise Rejoin("the group has given this worker's partitions to others")
