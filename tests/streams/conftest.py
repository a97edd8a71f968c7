"""A real broker, read and written with a client that the streams do not use, and a real model to ask."""

from __future__ import annotations

import asyncio
import textwrap
import time
import warnings
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, KafkaError
from confluent_kafka import TopicPartition as Place

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python reads its schemas in an old way
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition  # type: ignore[import-untyped]  # it has no types
    from kafka.admin import KafkaAdminClient, NewTopic  # type: ignore[import-untyped]  # it has no types
    from kafka.errors import CoordinatorNotAvailableError, NoError  # type: ignore[import-untyped]  # it has no types

from penstock.streams import load_stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from penstock.deploy.kafka import Broker
    from penstock.streams import Stream
    from penstock.streams.engine import Worker

MODEL = '''
import time
import numpy as np

class SeldonWrapper:
    """Answers each row with its sum; 666 in front breaks it, 667 makes it hang for two seconds."""

    def predict(self, X, features_names=None):
        X = np.asarray(X, dtype=float)
        if (X[:, 0] == 666).any():
            raise ValueError("a row that this model cannot bear")
        if (X[:, 0] == 667).any():
            time.sleep(2)
        return X.sum(axis=1, keepdims=True)

    def class_names(self):
        return ["sum"]
'''


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "sums"
    folder.mkdir()
    (folder / "SeldonWrapper.py").write_text(MODEL)
    return folder


# Seconds. A machine with other work on it was seen to take four times as long as it takes by itself.
_PATIENCE = 120.0


# At most so many rows a second, on however fast a machine: a worker that is to be hit in the middle of its work must
# still have some when it is hit, and a look at what it has done takes up to a second.
PACED = MODEL.replace("        return X.sum", "        time.sleep(len(X) / 5000)\n        return X.sum")


@pytest.fixture(scope="session")
def paced(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same model at a bounded pace, as a line of ``[service]``."""
    folder = tmp_path_factory.mktemp("models") / "paced"
    folder.mkdir()
    (folder / "SeldonWrapper.py").write_text(PACED)
    return f'model = "{folder}"'


async def until(condition: Callable[[], bool], within: float = _PATIENCE) -> None:
    ends = time.monotonic() + within
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < ends, "it did not happen in time"
        await asyncio.sleep(0.1)


@dataclass
class Cluster:
    """The broker as the tests use it."""

    address: str
    producer: Any = field(init=False)
    admin: Any = field(init=False)
    _counting: Any = field(init=False)
    _counters: dict[str, _Counter] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.producer = KafkaProducer(bootstrap_servers=self.address, linger_ms=5, acks="all")
        self.admin = KafkaAdminClient(bootstrap_servers=self.address)
        # One for all topics: each of librdkafka's clients has three threads and eight open files.
        self._counting = Consumer(
            {
                "bootstrap.servers": self.address,
                "group.id": "counting",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )

    def create(self, topic: str, partitions: int = 1) -> str:
        self.admin.create_topics([NewTopic(topic, partitions, 1)])
        return topic

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: list[tuple[str, bytes]] | None = None,
        partition: int | None = None,
    ) -> None:
        self.producer.send(topic, value=value, key=key, headers=headers or [], partition=partition)

    def flush(self) -> None:
        self.producer.flush(60)

    def size(self, topic: str) -> int:
        """How many records there are; those of transactions that are open or aborted do not count."""
        with self._consumer() as consumer:
            if not self._parts(consumer, topic):
                return 0
            if topic not in self._counters:
                self._counters[topic] = _Counter(self._counting, topic)
            return self._counters[topic].up_to(consumer.end_offsets(self._parts(consumer, topic)))

    def partitions(self, topic: str) -> int:
        with self._consumer() as consumer:
            return len(self._parts(consumer, topic))

    def read(self, topic: str) -> list[Any]:
        """All records, each partition in order; those of transactions that are open or aborted are left out."""
        with self._consumer() as consumer:
            parts = self._parts(consumer, topic)
            consumer.assign(parts)
            consumer.seek_to_beginning(*parts)
            ends = consumer.end_offsets(parts)
            records: list[Any] = []
            until = time.monotonic() + 60
            while any(consumer.position(part) < ends[part] for part in parts) and time.monotonic() < until:
                for batch in consumer.poll(timeout_ms=500, max_records=5000).values():
                    records += batch
            return sorted(records, key=lambda record: (record.partition, record.offset))

    def committed(self, group: str, topic: str) -> int:
        offsets = self.admin.list_group_offsets({group: None})[group]
        return sum(each.offset for part, each in offsets.items() if part.topic == topic)

    def commit(self, group: str, places: dict[Any, Any], within: float = 60.0) -> None:
        """Set a group's places; the first group that a broker ever has must wait until it has made room for groups."""
        until = time.monotonic() + within
        while not self._commit(group, places):
            assert time.monotonic() < until
            time.sleep(0.1)

    def _commit(self, group: str, places: dict[Any, Any]) -> bool:
        try:
            return set(self.admin.alter_group_offsets(group, places).values()) == {NoError}
        except CoordinatorNotAvailableError:
            return False

    def close(self) -> None:
        self._counting.close()
        self.producer.close(5)
        self.admin.close()

    def _parts(self, consumer: Any, topic: str) -> list[Any]:
        return [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]

    def _consumer(self) -> Any:
        settings = {"enable_auto_commit": False, "group_id": None, "isolation_level": "read_committed"}
        return _Closing(KafkaConsumer(bootstrap_servers=self.address, **settings))


class _Counter:
    """Counts the committed records of a topic, going on where it was."""

    def __init__(self, consumer: Any, topic: str) -> None:
        self._topic = topic
        self._count = 0
        self._next: dict[int, int] = {}
        self._consumer = consumer

    def up_to(self, ends: dict[Any, int]) -> int:
        """The records before ``ends``, as far as they are committed."""
        wanted = {part.partition: end for part, end in ends.items() if self._next.get(part.partition, 0) < end}
        self._consumer.assign([Place(self._topic, each, self._next.get(each, 0)) for each in wanted])
        until = time.monotonic() + 60
        while wanted and time.monotonic() < until:
            for message in self._consumer.consume(5000, 0.05):
                if message.topic() not in (self._topic, None):
                    continue
                partition, offset = message.partition(), message.offset()
                if message.error() is None:
                    self._count += 1
                    self._next[partition] = offset + 1
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    self._next[partition] = offset
                if message.error() is not None or offset + 1 >= wanted.get(partition, 0):
                    wanted.pop(partition, None)  # what came after ``ends`` is read the next time
        return self._count


class _Closing:
    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer

    def __enter__(self) -> Any:
        return self._consumer

    def __exit__(self, *_: object) -> None:
        self._consumer.close()


@pytest.fixture(scope="session")
def cluster(kafka_broker: Broker) -> Iterator[Cluster]:
    cluster = Cluster(kafka_broker.address)
    yield cluster
    cluster.close()


@dataclass
class Case:
    """One stream with topics of its own."""

    name: str
    cluster: Cluster
    folder: Path
    service: str
    engine: str

    @property
    def source(self) -> str:
        return f"{self.name}-in"

    @property
    def sink(self) -> str:
        return f"{self.name}-out"

    @property
    def dead(self) -> str:
        return f"{self.name}-dead"

    def file(self, source: str = 'format = "ndarray"', sink: str = "", extra: str = "") -> Path:
        path = self.folder / "stream.toml"
        path.write_text(
            textwrap.dedent(f"""
                name = "{self.name}"
                {self.engine}
                [source]
                topic = "{self.source}"
                {source}
                [service]
                {self.service}
                [sink]
                topic = "{self.sink}"
                {sink}
                [dead_letter]
                topic = "{self.dead}"
                [kafka]
                bootstrap = "{self.cluster.address}"
                session_timeout = 6
            """)
            + textwrap.dedent(extra)
        )
        return path

    def spec(self, source: str = 'format = "ndarray"', sink: str = "", extra: str = "") -> Stream:
        return load_stream(self.file(source, sink, extra))

    async def outcome(self, records: int, within: float = _PATIENCE) -> None:
        """Wait until sink and dead-letter topic together have at least so many records."""
        ends = time.monotonic() + within
        while (have := await asyncio.to_thread(self._outcomes)) < records:
            assert time.monotonic() < ends, f"{have} of {records} outcomes after {within} s"
            await asyncio.sleep(0.1)

    def _outcomes(self) -> int:
        return self.cluster.size(self.sink) + self.cluster.size(self.dead)


ENGINES = {
    "faust": 'engine = "faust"',
    "pipe": 'engine = "pipe"',
    "exactly-once": 'engine = "pipe"\nguarantee = "exactly_once"',
}
_numbers = count()


on_each_engine = pytest.mark.parametrize("case", ENGINES, indirect=True)
# Where what differs between the pipe's two guarantees is tested elsewhere.
on_both_engines = pytest.mark.parametrize("case", ["faust", "exactly-once"], indirect=True)


@pytest.fixture
def case(request: pytest.FixtureRequest, cluster: Cluster, model: Path, tmp_path: Path) -> Case:
    """A stream whose source topic is there with three partitions, and whose model runs in the worker.

    It is exactly-once; `on_each_engine` runs a test with each engine and guarantee.
    """
    engine = ENGINES[getattr(request, "param", "exactly-once")]
    case = Case(f"s{next(_numbers)}-{uuid4().hex[:8]}", cluster, tmp_path, f'model = "{model}"', engine)
    cluster.create(case.source, 3)
    return case


@pytest.fixture
def working() -> Callable[[Stream], Any]:
    """A worker that runs as long as the block does, in the loop of the test."""
    from penstock.streams.engine import worker as worker_of

    return lambda stream: _running(worker_of(stream))


@pytest.fixture
def running() -> Callable[[Worker], Any]:
    """The same for a worker that is made already."""
    return _running


@asynccontextmanager
async def _running(worker: Worker) -> AsyncIterator[Worker]:
    ready = asyncio.Event()
    task = asyncio.create_task(worker.run(ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=_PATIENCE)
    waiting.cancel()
    test = asyncio.current_task()

    def give_up(_: object) -> None:
        if test is not None:
            test.cancel("the worker has ended")

    try:
        assert ready.is_set() or task.done(), f"the worker is not ready after {_PATIENCE:g} s"
        task.add_done_callback(give_up)  # a test must not wait for a worker that is no more
        await asyncio.sleep(0)
        yield worker
    finally:
        task.remove_done_callback(give_up)
        worker.stop()
        await task
