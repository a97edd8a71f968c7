"""All results of a run: each compared with onnxruntime's own answer, and where in the topic it is."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import orjson
from bench.streams.feeding import KEYS, table
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.streams.feeding import Feed

_PREFIX = b"station-"


class Answers:
    """What a reader of committed records sees of a topic.

    Attributes:
        values: for each number of a record its results, in the order of the topic.
    """

    def __init__(self, partitions: int) -> None:
        self.values: dict[int, bytes] = {}
        self._offsets: list[list[int]] = [[] for _ in range(partitions)]

    def read(self, address: str, topic: str, feed: Feed, seconds: float) -> None:
        """Read until every record of ``feed`` has a result and the topic is at its end.

        Raises:
            AssertionError: some have none after ``seconds``, or some have two.
        """
        consumer = Consumer(
            {
                "bootstrap.servers": address,
                "group.id": topic,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
            }
        )
        consumer.assign([TopicPartition(topic, each, OFFSET_BEGINNING) for each in range(len(self._offsets))])
        ended: set[int | None] = set()
        turns: dict[bytes, int] = defaultdict(int)
        deadline = time.monotonic() + seconds
        while len(self.values) < feed.records or len(ended) < len(self._offsets):
            assert time.monotonic() < deadline, f"{feed.records - len(self.values)} results are missing"
            for message in consumer.consume(10_000, 0.2):
                error = message.error()
                if error is None:
                    ended.discard(message.partition())
                    self._add(message, turns)
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
        consumer.close()
        assert len(self.values) == feed.records, f"{len(self.values) - feed.records} results too many"

    def _add(self, message: Any, turns: dict[bytes, int]) -> None:
        key = message.key()
        if not key.startswith(_PREFIX):  # what a contestant was warmed up with
            return
        self._offsets[message.partition()].append(message.offset())
        # Under a key the results have the order of the records.
        self.values[int(key.removeprefix(_PREFIX)) + KEYS * turns[key]] = message.value()
        turns[key] += 1

    def before(self, ends: Sequence[int]) -> int:
        """How many results are before these offsets, one for each partition; a commit takes an offset, too."""
        return sum(bisect_left(offsets, end) for offsets, end in zip(self._offsets, ends, strict=True))

    def compare(self, model: Path, feed: Feed) -> None:
        """Every answer with the model's own.

        Raises:
            AssertionError: one is another.
        """
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        (wanted,) = session.run(None, {session.get_inputs()[0].name: table(feed)})
        decode = _of_v2 if feed.is_v2 else orjson.loads
        got = np.array([decode(self.values[number]) for number in range(feed.records)], np.float64)
        np.testing.assert_allclose(got.reshape(wanted.shape), wanted, rtol=1e-5)


def _of_v2(value: bytes) -> list[float]:
    return list(orjson.loads(value)["outputs"][0]["data"])
