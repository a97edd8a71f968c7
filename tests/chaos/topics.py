"""The topics of a run, seen by a client of the test's own."""

from __future__ import annotations

import time
from threading import Event, Thread
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from .questions import NUMBER
from .verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from confluent_kafka import Message

    from .feed import Feed

# The broker goes away on purpose: not a line for each try to reach it.
QUIET: dict[str, int] = {"log_level": 2, "reconnect.backoff.ms": 200}


def create(address: str, names: tuple[str, ...], partitions: int) -> None:
    """Create topics."""
    admin = AdminClient({"bootstrap.servers": address, **QUIET})
    for done in admin.create_topics([NewTopic(name, partitions, 1) for name in names]).values():
        done.result(30)


class Topics:
    """Source, sink and dead letters of a stream."""

    def __init__(self, address: str, name: str, partitions: int) -> None:
        self.address, self.group = address, f"penstock-{name}"
        self.source, self.sink, self.dead = f"{name}-in", f"{name}-out", f"{name}-dead"
        self._partitions = range(partitions)
        create(address, (self.source, self.sink, self.dead), partitions)
        self._asking = self.consumer("read_uncommitted", group=self.group)

    def consumer(self, isolation: str, *, group: str = "reader") -> Consumer:
        """A client that joins no group and commits nothing."""
        return Consumer(
            {
                "bootstrap.servers": self.address,
                "group.id": group,
                "isolation.level": isolation,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                **QUIET,
            }
        )

    def places(self, topic: str) -> list[TopicPartition]:
        """The partitions of a topic, from the beginning."""
        return [TopicPartition(topic, number, 0) for number in self._partitions]

    def committed(self) -> dict[int, int]:
        """How far the group has committed each partition of the source."""
        parts = self._asking.committed(self.places(self.source), 10)
        return {part.partition: max(0, part.offset) for part in parts}

    def read(self, *, isolation: str) -> Iterator[Outcome]:
        """All results and dead letters, each partition in order."""
        consumer = self.consumer(isolation)
        places = [*self.places(self.sink), *self.places(self.dead)]
        consumer.assign(places)
        ended: set[tuple[str | None, int | None]] = set()
        last = time.monotonic()
        while len(ended) < len(places):
            messages = consumer.consume(2000, 0.5)  # it waits so long for as many, also where there are no more
            last = time.monotonic() if messages else last
            assert time.monotonic() - last < 60, "the outcomes could not be read to their end"
            for message in messages:
                if message.error():
                    ended.add((message.topic(), message.partition()))
                else:
                    yield self.outcome(message)
        consumer.close()

    def outcome(self, message: Message) -> Outcome:
        """What a message of sink or dead letters says."""
        number = int(dict(message.headers() or [])[NUMBER] or b"")
        return Outcome(number, message.key(), message.value(), message.topic() == self.dead)


class Watch(Thread):
    """Sees each outcome as soon as it is written, committed or not.

    Attributes:
        seen: numbers of the records that have an outcome.
    """

    def __init__(self, topics: Topics, feed: Feed) -> None:
        super().__init__(daemon=True)
        self.seen: set[int] = set()
        self._newest: dict[int, int] = {}
        self._topics, self._feed = topics, feed
        self._over = Event()

    def run(self) -> None:
        """Read until `stop`."""
        consumer = self._topics.consumer("read_uncommitted", group="watch")
        consumer.assign([*self._topics.places(self._topics.sink), *self._topics.places(self._topics.dead)])
        while not self._over.is_set():
            for message in consumer.consume(1000, 0.05):
                if not message.error():
                    self._note(self._topics.outcome(message).number)
        consumer.close()

    def stop(self) -> None:
        """End it."""
        self._over.set()
        self.join(30)

    def in_doubt(self) -> set[tuple[int, int]]:
        """Partitions of the source that have an outcome whose offset is not committed; with the committed offset."""
        committed = self._topics.committed()
        return {(part, committed[part]) for part, newest in list(self._newest.items()) if newest >= committed[part]}

    def _note(self, number: int) -> None:
        self.seen.add(number)
        partition, offset = self._feed.place(number)
        if offset >= 0:
            self._newest[partition] = max(offset, self._newest.get(partition, -1))


def until(condition: Callable[[], bool], within: float, what: str) -> None:
    """Wait for something; a broker that does not answer is asked again."""
    ends = time.monotonic() + within
    while True:
        try:
            if condition():
                return
        except KafkaException:
            pass
        assert time.monotonic() < ends, f"{what}: not within {within:g} s"
        time.sleep(0.05)
