"""What every contestant reads: numbered rows of flowers, under five thousand keys."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

KEYS = 5000
MODEL = "iris"


@dataclass(frozen=True, slots=True)
class Feed:
    """Records of a topic.

    Attributes:
        records: how many.
        rows: in each.
        is_v2: written as requests of the Open Inference Protocol, not as the JSON that the others read.
    """

    records: int
    rows: int = 1
    is_v2: bool = False


def create(address: str, topics: Sequence[str], partitions: int) -> None:
    """Make ``topics``, and wait until they are there."""
    admin = AdminClient({"bootstrap.servers": address, "log_level": 3})
    made = admin.create_topics([NewTopic(topic, partitions, 1) for topic in topics])
    for each in made.values():
        each.result(30)
    parts = [TopicPartition(topic, each) for topic in topics for each in range(partitions)]
    deadline = time.monotonic() + 30
    while not _have_leaders(admin, parts):
        assert time.monotonic() < deadline, f"{', '.join(topics)}: no leader for some partitions"
        time.sleep(0.05)


def _have_leaders(admin: AdminClient, parts: Sequence[TopicPartition]) -> bool:
    try:
        for each in admin.list_offsets(dict.fromkeys(parts, OffsetSpec.latest())).values():
            each.result(30)
    except KafkaException:
        return False
    return True


def fill(address: str, topic: str, partitions: int, feed: Feed) -> None:
    """Write all records of ``feed``; a key stays in its partition."""
    producer = Producer(
        {
            "bootstrap.servers": address,
            "linger.ms": 50,
            "batch.size": 1_000_000,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    for number in range(feed.records):
        station = number % KEYS
        value, headers = content(number, feed)
        producer.produce(topic, value, b"station-%d" % station, partition=station % partitions, headers=headers)
        if number % 10_000 == 0:
            producer.poll(0)
    left = producer.flush(60)
    assert left == 0, f"{left} records could not be written"


def content(number: int, feed: Feed) -> tuple[bytes, list[tuple[str, str | bytes | None]]]:
    """Value and headers of a record."""
    row = features(number, feed.rows)
    if not feed.is_v2:
        return orjson.dumps({"id": number, "x": row}), []
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": row}
    return orjson.dumps({"inputs": [tensor]}), [("mlserver-model", MODEL.encode())]


def features(number: int, rows: int) -> list[Any]:
    """The features of a record: one row flat, several as a list of rows."""
    row = [5.0 + number % 17 / 10, 3.5, 1.0 + number % 23 / 5, 0.2]
    return row if rows == 1 else [[x + each / 1000 for x in row] for each in range(rows)]


def table(feed: Feed) -> NDArray[np.float32]:
    """All rows of ``feed``, in the order of the records."""
    return np.array([features(number, feed.rows) for number in range(feed.records)], np.float32).reshape(-1, 4)
