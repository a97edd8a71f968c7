"""Dead letters in a topic of their own, written by hand with a client that keeps every byte."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python reads its schemas in an old way
    from kafka import KafkaConsumer, TopicPartition  # type: ignore[import-untyped]  # it has no types

from penstock.proto import PayloadError, PenstockError
from penstock.streams.dead_letters import dead_letter
from penstock.streams.records import Record
from penstock.streams.spec import Kafka, Service, Sink, Source, Stream

from ..better_model import better

__all__ = ["better"]  # a fixture

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.streams.records import Headers

PARTITIONS = 3


@dataclass
class Letters:
    """A source topic, its dead letters, and a way to make more."""

    cluster: Any
    folder: Path
    name: str = field(default_factory=lambda: f"dlq-{uuid4().hex[:8]}")
    made: int = 0

    def __post_init__(self) -> None:
        for topic in (self.source, self.dead):
            self.cluster.create(topic, PARTITIONS)
        self._producer = Producer({"bootstrap.servers": self.cluster.address})

    @property
    def kafka(self) -> Kafka:
        return Kafka(bootstrap=self.cluster.address)

    @property
    def source(self) -> str:
        return f"{self.name}-in"

    @property
    def dead(self) -> str:
        return f"{self.name}-dead"

    def add(
        self,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers | None = None,
        *,
        reason: str = "INVALID_JSON",
        stream: str = "iris",
        partition: int = 0,
        at: int = 0,
        source: str = "",
    ) -> Record:
        """A dead letter; the record that it is made of."""
        self.made += 1
        record = Record(source or self.source, partition, self.made, 1_700_000_000_000, key, value, headers or [])
        error: PenstockError = PayloadError("line 1: not JSON", code=reason)
        spec = Stream(stream, Source("in", "ndarray"), Service("grpc://127.0.0.1:1"), Sink("out"), self.dead)  # type: ignore[arg-type]
        letter = dead_letter(spec, record, error, attempts=2, model="sums", version="v1")
        self.write(self.dead, letter.value, letter.key, letter.headers, partition=partition, at=at)
        return record

    def write(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Headers, *, partition: int = 0, at: int = 0
    ) -> None:
        self._producer.produce(topic, value, key, partition=partition, headers=list(headers), timestamp=at)
        self._producer.poll(0)

    def flush(self) -> None:
        assert self._producer.flush(30) == 0

    def replayed(self, topic: str = "") -> list[tuple[bytes | None, bytes | None, Headers]]:
        """Key, value and headers of what is committed in the source topic, or in another."""
        return [(each.key, each.value, each.headers) for each in committed(self.cluster.address, topic or self.source)]


def committed(address: str, topic: str, within: float = 60.0) -> list[Any]:
    """What a reader of committed records sees, read with another client than the one that writes."""
    consumer = KafkaConsumer(
        bootstrap_servers=address, group_id=None, enable_auto_commit=False, isolation_level="read_committed"
    )
    try:
        parts = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(parts)
        consumer.seek_to_beginning(*parts)
        ends, until = consumer.end_offsets(parts), monotonic() + within
        found: list[Any] = []
        while any(consumer.position(part) < ends[part] for part in parts):
            assert monotonic() < until, f"{topic} could not be read in {within} s"
            for some in consumer.poll(timeout_ms=200).values():
                found += some
        return sorted(found, key=lambda record: (record.partition, record.offset))
    finally:
        consumer.close()


@pytest.fixture
def letters(cluster: Any, tmp_path: Path) -> Letters:
    return Letters(cluster, tmp_path)
