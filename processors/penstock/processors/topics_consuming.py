"""ConsumeTopic: records of a topic as FlowFiles, each at least once.

NiFi does not tell a Python source when it has stored a FlowFile; it stores after `TopicReader.next` has returned.
The offsets of Kafka may say "done" only afterwards. So:

1. `next` first commits the offsets of what it handed out more than two seconds ago.
2. Then it hands out the next records, and notes when.
3. When the processor stops, all that was handed out is stored: everything is committed.

With one task, the session of a former call is stored before `next` is called again; but where Run Duration is set,
NiFi calls it many times in one session, for two seconds at most. Hence the two seconds; and hence one task only.
A kill loses nothing, and what was handed out in the last seconds comes again.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata  # type: ignore[import-untyped]
from kafka.errors import CommitFailedError, KafkaError  # type: ignore[import-untyped]

from penstock.proto import SetupError

from .lineage import attributes_of
from .outcomes import SUCCESS, Outcome
from .topics_cluster import cluster_of, in_our_words, required, start
from .topics_keys import KeyEncoding, key_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .topics_cluster import Cluster

SETTLED: Final = 2.0  # seconds; the longest Run Duration that NiFi's canvas offers
_COMMIT_EVERY: Final = 1.0  # seconds; each is a trip to the broker
_POLL_MS: Final = 500  # how long NiFi waits for records, and so for the processor to stop
_POLL_RECORDS: Final = 500
_SESSION_MS: Final = 10_000  # after a kill the group waits so long for the dead member
_LONGEST_PAUSE_MS: Final = 3_600_000  # between two polls: a full queue behind us is no reason to leave the group


@dataclass(frozen=True, slots=True)
class Reading:
    """What to read and how to hand it out.

    Attributes:
        topics: their names.
        group: the consumer group whose offsets count.
        starting_offset: ``earliest`` or ``latest``, where the group has no offset.
        records: in one FlowFile, at most; all of one partition.
        demarcator: between the records of a FlowFile.
        key_encoding: of the attribute kafka.key.
        header_prefix: of the attributes with a record's headers.
    """

    topics: tuple[str, ...]
    group: str
    starting_offset: str = "earliest"
    records: int = 1
    demarcator: bytes = b"\n"
    key_encoding: KeyEncoding = KeyEncoding.TEXT
    header_prefix: str = "kafka.header."


def reading_of(values: Mapping[str, str | None]) -> Reading:
    """What the properties say.

    Raises:
        SetupError: one is missing or is not what it should be.
    """
    records = values.get("Records per FlowFile") or "1"
    if not records.isdecimal() or int(records) < 1:
        raise SetupError(f"Records per FlowFile is a whole number, 1 or more, not {records!r:.40}")
    topics = tuple(filter(None, (name.strip() for name in required(values, "Topic").split(","))))
    return Reading(
        topics=topics,
        group=required(values, "Group id"),
        starting_offset=values.get("Starting offset") or "earliest",
        records=int(records),
        key_encoding=KeyEncoding(values.get("Key encoding") or KeyEncoding.TEXT),
        header_prefix=values.get("Header prefix") or "kafka.header.",
    )


def problem(values: Mapping[str, str | None]) -> str | None:
    """What is wrong with the properties, if anything."""
    try:
        cluster_of(values)
        reading_of(values)
    except SetupError as error:
        return error.message
    return None


class TopicReader:
    """A member of a consumer group; for one task, whose calls may come from different threads.

    Args:
        cluster: where the topics are.
        reading: what to read.
        clock: seconds that only grow.
    """

    def __init__(self, cluster: Cluster, reading: Reading, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._reading = reading
        self._clock = clock
        self._lock = Lock()
        self._consumer: Any = None
        self._waiting: deque[tuple[Any, deque[Any]]] = deque()  # fetched: a partition and its next records
        self._handed: deque[tuple[float, Any, int]] = deque()  # when, partition, the offset to commit
        self._next_commit = 0.0

    def next(self) -> Outcome | None:
        """The next FlowFile; None where no record has come in half a second.

        Raises:
            PenstockError: Kafka cannot be reached or refuses; the next call tries again.
        """
        with self._lock:
            try:
                if self._consumer is None:
                    self._connect()
                self._commit_settled()
                if not self._waiting:
                    self._fetch()
            except KafkaError as error:
                raise in_our_words(error, self._cluster) from None
            return self._hand_out() if self._waiting else None

    def close(self) -> None:
        """Commit all that was handed out, and leave the group; NiFi has stored it when it stops a processor."""
        with self._lock:
            consumer, self._consumer = self._consumer, None
            self._waiting.clear()
            if consumer is None:
                return
            with suppress(KafkaError):  # then it comes again
                self._commit(consumer, len(self._handed))
            self._handed.clear()
            with suppress(KafkaError):
                consumer.close(autocommit=False, timeout_ms=5_000)

    def _connect(self) -> None:
        consumer = start(
            KafkaConsumer,
            self._cluster,
            group_id=self._reading.group,
            auto_offset_reset=self._reading.starting_offset,
            enable_auto_commit=False,
            session_timeout_ms=_SESSION_MS,
            max_poll_interval_ms=_LONGEST_PAUSE_MS,
        )
        consumer.subscribe([*self._reading.topics], listener=_Rebalance(self._revoked))
        self._consumer = consumer

    def _revoked(self, partitions: Sequence[Any]) -> None:
        # What is fetched or not yet committed comes again, here or at another member. kafka-python calls this in its
        # own thread, while `next` waits in `poll`, and does not let it commit.
        revoked = {*partitions}
        self._waiting = deque(each for each in self._waiting if each[0] not in revoked)
        self._handed = deque(each for each in self._handed if each[1] not in revoked)

    def _commit_settled(self) -> None:
        now = self._clock()
        if now < self._next_commit:
            return
        self._next_commit = now + _COMMIT_EVERY
        with suppress(CommitFailedError):  # the group has gone on without us: others have those partitions now
            self._commit(self._consumer, self._settled())

    def _settled(self) -> int:
        """How many of what was handed out are stored for sure."""
        before = self._clock() - SETTLED
        return sum(1 for moment, _, _ in self._handed if moment < before)

    def _commit(self, consumer: Any, count: int) -> None:
        if count == 0:
            return
        offsets = {partition: offset for _, partition, offset in list(self._handed)[:count]}
        consumer.commit({tp: OffsetAndMetadata(offset, "", -1) for tp, offset in offsets.items()}, timeout_ms=10_000)
        for _ in range(count):
            self._handed.popleft()

    def _fetch(self) -> None:
        most = max(_POLL_RECORDS, self._reading.records)
        fetched = self._consumer.poll(timeout_ms=_POLL_MS, max_records=most)
        self._waiting.extend((partition, deque(records)) for partition, records in fetched.items() if records)

    def _hand_out(self) -> Outcome:
        partition, records = self._waiting[0]
        taken = [records.popleft()]
        # A tombstone has no content to stand between demarcators.
        while taken[0].value is not None and records and len(taken) < self._reading.records:
            if records[0].value is None:
                break
            taken.append(records.popleft())
        if not records:
            self._waiting.popleft()
        self._handed.append((self._clock(), partition, taken[-1].offset + 1))
        return flowfile_of(taken, self._reading)


def flowfile_of(records: Sequence[Any], reading: Reading) -> Outcome:
    """Records of one partition as a FlowFile, its attributes named as NiFi's own ConsumeKafka names them."""
    first, last = records[0], records[-1]
    attributes = {
        "kafka.topic": first.topic,
        "kafka.partition": str(first.partition),
        "kafka.offset": str(first.offset),
        "kafka.timestamp": str(first.timestamp),
        "kafka.count": str(len(records)),
    }
    if first.value is None:
        attributes["kafka.tombstone"] = "true"
    if reading.records > 1:
        attributes["kafka.max.offset"] = str(last.offset)
        return Outcome(SUCCESS, attributes, reading.demarcator.join(record.value or b"" for record in records))
    if first.key is not None:
        attributes["kafka.key"] = key_text(first.key, reading.key_encoding)
    for name, value in first.headers:
        attributes[f"{reading.header_prefix}{name}"] = (value or b"").decode(errors="replace")
    attributes |= attributes_of(first.headers)
    return Outcome(SUCCESS, attributes, first.value or b"")


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, revoked: Callable[[Sequence[Any]], None]) -> None:
        self._revoked = revoked

    def on_partitions_revoked(self, revoked: Sequence[Any]) -> None:
        self._revoked(revoked)

    def on_partitions_assigned(self, assigned: Sequence[Any]) -> None:
        pass
