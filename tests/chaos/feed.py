"""The input: numbered records at a rate, each written exactly once whatever happens to the broker."""

from __future__ import annotations

import time
from array import array
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING

from confluent_kafka import Producer

from .questions import NUMBER, key_of, value_of
from .topics import QUIET

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

_TICK = 0.02
_PARTITIONS = 1 << 10  # more than any topic here has


class Feed(Thread):
    """Writes ``records`` records.

    Attributes:
        delivered: records that the broker has.
        rate: records a second; may be changed.
        allowed: it writes so many, and waits; may be changed, and is all of them at first.
    """

    def __init__(self, address: str, topic: str, records: int, rate: float) -> None:
        super().__init__(daemon=True)
        self.delivered = 0
        self.rate, self.allowed = rate, records
        self._topic, self._records = topic, records
        self._over = Event()
        self._error = ""
        self._places = array("q", [-1]) * records  # plain numbers: a soak has two million
        self._producer = Producer(
            {
                "bootstrap.servers": address,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",  # Java's, as the stream's own, so that a key keeps its partition
                "linger.ms": 5,
                **QUIET,
            }
        )

    def run(self) -> None:
        """Write until all is written, or `stop`."""
        last, written, due = time.monotonic(), 0, 0.0
        while written < self._records and not self._over.is_set():
            now = time.monotonic()
            due = max(due, min(due + (now - last) * self.rate, self.allowed))
            last = now
            for number in range(written, int(due)):
                self._write(number)
            written = int(due)
            self._producer.poll(_TICK)
        self._producer.flush(60)

    def place(self, number: int) -> tuple[int, int]:
        """Partition and offset of a record; an offset of -1 where the broker has not told it yet."""
        offset, partition = divmod(self._places[number], _PARTITIONS)
        return partition, offset

    def stop(self) -> None:
        """End it early."""
        self._over.set()
        self.join(90)

    def check(self) -> None:
        """Raise what went wrong."""
        assert not self._error, f"the input could not be written: {self._error}"

    def _write(self, number: int) -> None:
        headers: list[tuple[str, bytes | str | None]] = [(NUMBER, b"%d" % number)]
        delivered = partial(self._delivered, number)
        self._producer.produce(self._topic, value_of(number), key_of(number), headers=headers, on_delivery=delivered)

    def _delivered(self, number: int, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._error = str(error)
            return
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        self._places[number] = offset * _PARTITIONS + partition
        self.delivered += 1
