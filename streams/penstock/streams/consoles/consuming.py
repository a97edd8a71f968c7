"""Read a topic without a group: from any place, to its end or on and on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from kafka import KafkaConsumer, TopicPartition  # type: ignore[import-untyped]  # it has no types

from penstock.proto import SetupError, Unavailable
from penstock.streams.records import Record

from .client import client
from .listing import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.streams.spec import Kafka

_POLL_MS: Final = 200
_AT_ONCE: Final = 500  # records in memory
_SILENCE: Final = 30.0  # seconds without a record where there should be some


@dataclass(frozen=True, slots=True)
class Reading:
    """What to read.

    Attributes:
        topic: its name.
        start: ``beginning``, ``end``, an offset, ``partition/offset``, or ``-N`` for the last N offsets of each
            partition.
        since: milliseconds since 1970, instead of ``start``.
        partition: only this one; None for all.
        follow: whether to wait for what comes after the end.
        count: at most so many records; None for all.
        key: only records with this key.
        committed: whether what an open or aborted transaction has written is left out.
    """

    topic: str
    start: str = "beginning"
    since: int | None = None
    partition: int | None = None
    follow: bool = False
    count: int | None = None
    key: bytes | None = None
    committed: bool = True


def consume(kafka: Kafka, reading: Reading, *, told: Callable[[int, int], None] | None = None) -> Iterator[Record]:
    """The records, each partition in order. Without ``follow`` it ends where the topic ended at the start.

    Args:
        kafka: the broker.
        reading: what to read.
        told: gets offsets passed and offsets in all, now and then.

    Raises:
        SetupError: there is no such topic, partition or place. PenstockError: no broker answers, or it refuses.
    """
    isolation = "read_committed" if reading.committed else "read_uncommitted"
    options = {"group_id": None, "enable_auto_commit": False, "isolation_level": isolation}
    with client(KafkaConsumer, kafka, max_poll_records=_AT_ONCE, **options) as consumer:
        parts = _parts(consumer, kafka, reading)
        consumer.assign(parts)
        ends = consumer.end_offsets(parts)
        starts = _seek(consumer, reading, parts, ends)
        left = reading.count
        for record in _records(consumer, reading, starts, ends, told or (lambda _passed, _all: None)):
            if left is not None and left <= 0:
                return
            if reading.key is None or record.key == reading.key:
                left = None if left is None else left - 1
                yield record
                if left == 0:
                    return


def _parts(consumer: Any, kafka: Kafka, reading: Reading) -> list[Any]:
    numbers = consumer.partitions_for_topic(reading.topic) if reading.topic in consumer.topics() else None
    if not numbers:
        raise missing(reading.topic, kafka)
    place = re.fullmatch(r"(\d+)/\d+", reading.start)
    wanted = int(place[1]) if place else reading.partition
    if wanted is not None and wanted not in numbers:
        raise SetupError(f"{reading.topic} has the partitions 0 to {max(numbers)}, not {wanted}", code="NO_TOPIC")
    return [TopicPartition(reading.topic, number) for number in sorted(numbers) if wanted in (None, number)]


def _seek(consumer: Any, reading: Reading, parts: list[Any], ends: dict[Any, int]) -> dict[Any, int]:
    begins = consumer.beginning_offsets(parts)
    if reading.since is not None:
        found = consumer.offsets_for_times(dict.fromkeys(parts, reading.since))
        starts = {part: found[part].offset if found.get(part) else ends[part] for part in parts}
    elif reading.start == "beginning":
        starts = begins
    elif reading.start == "end":
        starts = ends
    elif re.fullmatch(r"-\d+", reading.start):
        starts = {part: ends[part] + int(reading.start) for part in parts}
    elif re.fullmatch(r"(\d+/)?\d+", reading.start):
        starts = dict.fromkeys(parts, int(reading.start.rpartition("/")[2]))
    else:
        raise SetupError(f"{reading.start!r:.40} is no place: beginning, end, 17, 0/17, -10 or a time")
    starts = {part: min(max(starts[part], begins[part]), ends[part]) for part in parts}
    for part, offset in starts.items():
        consumer.seek(part, offset)
    return starts


def _records(
    consumer: Any,
    reading: Reading,
    starts: dict[Any, int],
    ends: dict[Any, int],
    told: Callable[[int, int], None],
) -> Iterator[Record]:
    total = sum(ends[part] - starts[part] for part in ends)
    heard = monotonic()
    while reading.follow or any(consumer.position(part) < ends[part] for part in ends):
        found = consumer.poll(timeout_ms=_POLL_MS)
        for part, some in found.items():
            for each in some:
                if reading.follow or each.offset < ends[part]:
                    yield Record(
                        each.topic, each.partition, each.offset, each.timestamp, each.key, each.value, each.headers
                    )
        if found or reading.follow:
            heard = monotonic()
        elif monotonic() - heard > _SILENCE:
            raise Unavailable(f"nothing has come for {_SILENCE:g} s; is the broker still running?", code="KAFKA_AWAY")
        told(sum(min(consumer.position(part), ends[part]) - starts[part] for part in ends), total)
