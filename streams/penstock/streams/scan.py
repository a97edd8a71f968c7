"""All records of a topic as they are now, without a group: from a place or a time to the end as it was at the start."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from penstock.proto import SetupError, Unavailable

from .librdkafka import in_our_words, librdkafka_settings
from .records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from .spec import Kafka

_AT_ONCE: Final = 2000  # records taken from librdkafka in one call
_ANSWER: Final = 10.0  # seconds for the broker to answer about places and times
_SILENCE: Final = 30.0  # seconds without a record where there should be some
_NOT_THERE: Final = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a partition.

    Attributes:
        partition: its number.
        first: offset of the first record that is read.
        end: offset behind the last one; what an open transaction holds back is not before it.
        kept: offset of the first record that the broker still has.
    """

    partition: int
    first: int
    end: int
    kept: int


class Scan:
    """Committed records of one topic, each partition in order.

    Use it in a ``with`` block; the ends are those of its start, so it comes to an end on a topic that is written to.
    """

    def __init__(
        self,
        kafka: Kafka,
        topic: str,
        *,
        since: int | None = None,
        ends: Mapping[int, int] | None = None,
        told: Callable[[int, int], None] | None = None,
    ) -> None:
        """Connect, and find out where the topic begins and ends.

        Args:
            kafka: the broker.
            topic: its name.
            since: milliseconds since 1970; what is older is left out.
            ends: an end for each partition, where it is to stop before the topic's own.
            told: gets offsets passed and offsets in all, now and then.

        Raises:
            Unavailable: no broker answers. SetupError: ``NO_TOPIC``.
        """
        self._kafka = kafka
        self._topic = topic
        self._told = told or (lambda _passed, _all: None)
        self._error: KafkaError | None = None
        self._consumer = Consumer(
            librdkafka_settings(kafka)
            | {
                "group.id": "penstock-scan",  # librdkafka wants a name; there is no group behind it
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "queued.max.messages.kbytes": 8192,  # of each partition, in memory
                "fetch.wait.max.ms": 50,  # how long the broker thinks at the end of a partition
                "error_cb": self._failed,
            }
        )
        try:
            self.spans = self._spans(since, ends or {})
        except BaseException:
            self._consumer.close()
            raise

    def __enter__(self) -> Scan:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._consumer.close()

    def __iter__(self) -> Iterator[Record]:
        left = {span.partition: span for span in self.spans if span.first < span.end}
        self._consumer.assign([TopicPartition(self._topic, span.partition, span.first) for span in left.values()])
        total, passed = sum(span.end - span.first for span in left.values()), 0
        at = {span.partition: span.first for span in left.values()}
        while left:
            for message in self._taken():
                partition, offset = message.partition() or 0, message.offset() or 0
                span = left.get(partition)
                if span is None:
                    continue
                if message.error() is None and offset < span.end:
                    yield _record(message)
                    offset += 1
                passed += min(offset, span.end) - at[partition]
                at[partition] = min(offset, span.end)
                if offset >= span.end or message.error() is not None:
                    del left[partition]
                    passed += span.end - at[partition]
            self._told(passed, total)

    def _taken(self) -> list[Any]:
        """What has come; there is always something, or an error."""
        until = monotonic() + _SILENCE
        while monotonic() < until:
            first = self._consumer.poll(0.25)  # `consume` alone would wait for as many as are asked for
            # A message without a value is false: its truth is its length.
            messages = [] if first is None else [first, *self._consumer.consume(_AT_ONCE, 0)]
            for message in messages:
                error = message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    raise in_our_words(error, self._kafka)
            if messages:
                return messages
        raise self._away()

    def _spans(self, since: int | None, ends: Mapping[int, int]) -> list[Span]:
        parts = self._partitions()
        try:
            marks = {part: self._consumer.get_watermark_offsets(part, timeout=_ANSWER) for part in parts}
            firsts = {part.partition: (marks[part] or (0, 0))[0] for part in parts}
            if since is not None:
                times = [TopicPartition(self._topic, part.partition, since) for part in parts]
                for found in self._consumer.offsets_for_times(times, timeout=_ANSWER):
                    # -1: nothing so young is there
                    firsts[found.partition] = found.offset if found.offset >= 0 else -1
        except KafkaException as error:
            raise self._worded(error) from None
        spans = []
        for part in parts:
            low, high = marks[part] or (0, 0)
            end = min(high, ends.get(part.partition, high))
            first = firsts[part.partition]
            spans.append(Span(part.partition, end if first < 0 else max(low, first), end, low))
        return spans

    def _partitions(self) -> list[TopicPartition]:
        try:
            # All topics, because asking for one that is not there makes some brokers create it.
            there = self._consumer.list_topics(timeout=_ANSWER).topics.get(self._topic)
        except KafkaException as error:
            raise self._worded(error) from None
        if there is None:
            raise SetupError(f"there is no topic {self._topic!r} at {self._kafka.bootstrap}", code="NO_TOPIC")
        return [TopicPartition(self._topic, number) for number in sorted(there.partitions)]

    def _worded(self, error: KafkaException) -> Exception:
        return self._away() if error.args[0].code() in _NOT_THERE else in_our_words(error, self._kafka)

    def _away(self) -> Exception:
        if self._error is not None:
            return in_our_words(self._error, self._kafka)
        return Unavailable(f"no Kafka broker answers at {self._kafka.bootstrap}; is it running?", code="KAFKA_AWAY")

    def _failed(self, error: KafkaError) -> None:
        # The first real reason, such as a refused password, says more than the time-out that follows from it.
        if self._error is None and error.code() not in _NOT_THERE:
            self._error = error


def _record(message: Any) -> Record:
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        message.headers() or [],
    )
