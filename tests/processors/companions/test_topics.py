"""Topics to FlowFiles and back, with a real broker."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import trustme

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python reads its own resources the old way
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition  # type: ignore[import-untyped]
    from kafka.admin import KafkaAdminClient, NewTopic  # type: ignore[import-untyped]

from penstock.deploy.kafka import Broker
from penstock.processors import topics_consuming, topics_publishing
from penstock.processors.lineage import attributes_of
from penstock.processors.outcomes import Outcome
from penstock.processors.topics_cluster import Cluster, cluster_of
from penstock.processors.topics_consuming import Reading, TopicReader, reading_of
from penstock.processors.topics_keys import KeyEncoding
from penstock.processors.topics_publishing import Publication, Records, TopicWriter, Writing, writing_of
from penstock.proto import PenstockError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


KAFKA = pytest.mark.kafka
FORGETFUL = pytest.mark.filterwarnings("ignore::ResourceWarning")


class Topic:
    """A topic and a group of a test's own."""

    def __init__(self, address: str, partitions: int = 1) -> None:
        self.cluster = Cluster(address)
        self.name = f"companions-{uuid4().hex[:8]}"
        self.reading = Reading((self.name,), f"group-{self.name}")
        with closing(KafkaAdminClient(bootstrap_servers=address)) as admin:
            admin.create_topics([NewTopic(self.name, partitions, 1)])
        self._watcher = KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False, group_id=None)

    def fill(self, count: int, partitions: int = 1, first: int = 0) -> None:
        with closing(KafkaProducer(bootstrap_servers=self.cluster.servers, linger_ms=5)) as producer:
            for number in range(first, first + count):
                producer.send(self.name, b"%d" % number, partition=number % partitions)
            producer.flush(30)

    def committed(self) -> int | None:
        consumer = KafkaConsumer(
            bootstrap_servers=self.cluster.servers, group_id=self.reading.group, enable_auto_commit=False
        )
        with closing(consumer):
            offset: int | None = consumer.committed(TopicPartition(self.name, 0))
            return offset

    def size(self) -> int:
        partitions = self._partitions()
        return sum(self._watcher.end_offsets(partitions).values())

    def records(self) -> list[Any]:
        partitions = self._partitions()
        self._watcher.assign(partitions)
        self._watcher.seek_to_beginning(*partitions)
        wanted = sum(self._watcher.end_offsets(partitions).values())
        found: list[Any] = []
        while len(found) < wanted:
            found += [record for batch in self._watcher.poll(timeout_ms=500).values() for record in batch]
        return found

    def close(self) -> None:
        self._watcher.close()

    def _partitions(self) -> list[Any]:
        return [TopicPartition(self.name, number) for number in self._watcher.partitions_for_topic(self.name)]


@pytest.fixture
def topic(kafka_broker: Broker) -> Iterator[Topic]:
    with closing(Topic(kafka_broker.address)) as made:
        yield made


def take(reader: TopicReader, count: int, seconds: float = 60) -> list[Outcome]:
    """The next FlowFiles of a reader."""
    taken: list[Outcome] = []
    end = time.monotonic() + seconds
    while len(taken) < count:
        assert time.monotonic() < end, f"{count} FlowFiles, not {len(taken)}"
        outcome = reader.next()
        taken += [outcome] if outcome else []
    return taken


class Clock:
    """Time that a test lets pass."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@KAFKA
def test_a_record_there_and_back(topic: Topic) -> None:
    headers = ("kafka.header.puid", "trace", "absent")
    with closing(TopicWriter(topic.cluster, Writing(headers=headers))) as writer:
        sent = writer(Publication(b"\x00[[1]]", topic.name, "Schlüssel", headers=["p-1", "t", None]))
    with closing(TopicReader(topic.cluster, topic.reading)) as reader:
        [read] = take(reader, 1)

    assert sent == Outcome(
        "success", {"kafka.topic": topic.name, "kafka.partition": "0", "kafka.offset": "0", "kafka.count": "1"}
    )
    assert (read.relationship, read.contents) == ("success", b"\x00[[1]]")
    assert abs(int(read.attributes.pop("kafka.timestamp")) / 1000 - time.time()) < 3600
    assert read.attributes == {
        "kafka.topic": topic.name,
        "kafka.partition": "0",
        "kafka.offset": "0",
        "kafka.count": "1",
        "kafka.key": "Schlüssel",
        "kafka.header.puid": "p-1",
        "kafka.header.trace": "t",
        "puid": "p-1",
    }


@KAFKA
def test_what_joins_a_record_with_its_result(topic: Topic) -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    known = {
        "invokemodel.puid": "p-2",
        "puid": "p-1",
        "traceparent": parent,
        "tracestate": "vendor=1",
        "invokemodel.model": "iris",
        "invokemodel.version": "",
    }
    with closing(TopicWriter(topic.cluster, Writing(headers=("traceparent",)))) as writer:
        writer(Publication(b"[1]", topic.name, headers=["another"], lineage=known))
    with closing(TopicWriter(topic.cluster, Writing(Records.LINES))) as writer:
        writer(Publication(b"[2]\n[3]", topic.name, lineage=known))
    first, *lines = [dict(record.headers) for record in topic.records()]
    assert first == {"traceparent": b"another", "puid": b"p-2", "tracestate": b"vendor=1", "penstock-model": b"iris"}
    joined = {"traceparent": parent.encode(), "tracestate": b"vendor=1", "penstock-model": b"iris"}
    assert lines == [{"penstock-call": b"p-2", **joined}] * 2

    with closing(TopicReader(topic.cluster, topic.reading)) as reader:
        read = take(reader, 1)[0]
    assert (read.attributes["puid"], read.attributes["traceparent"]) == ("p-2", "another")
    assert read.attributes["tracestate"] == read.attributes["kafka.header.tracestate"] == "vendor=1"
    assert attributes_of([("Seldon-Puid", b"s"), ("puid", b"p"), ("tracestate", None)]) == {"puid": "s"}


@KAFKA
def test_a_key_that_is_no_text_and_a_tombstone(topic: Topic) -> None:
    with closing(TopicWriter(topic.cluster, Writing(key_encoding=KeyEncoding.HEX))) as writer:
        writer(Publication(b"", topic.name, "00ff", tombstone=True))
        wrong = writer(Publication(b"", topic.name, "no key"))
    reading = Reading((topic.name,), "hex", key_encoding=KeyEncoding.HEX)
    with closing(TopicReader(topic.cluster, reading)) as reader:
        [read] = take(reader, 1)

    assert [(record.key, record.value) for record in topic.records()] == [(b"\x00\xff", None)]
    assert read.contents == b""
    assert (read.attributes["kafka.key"], read.attributes["kafka.tombstone"]) == ("00ff", "true")
    assert (wrong.relationship, wrong.attributes["publishtopic.error.code"]) == ("failure", "BAD_KEY")


@KAFKA
def test_lines_as_records_and_records_as_lines(topic: Topic) -> None:
    with closing(TopicWriter(topic.cluster, Writing(Records.LINES))) as writer:
        sent = writer(Publication(b"[1]\n[2]\n[3]\n", topic.name))
        nothing = writer(Publication(b"", topic.name))
        writer(Publication(b"", topic.name, "k", tombstone=True))
        no_key = writer(Publication(b"", topic.name, tombstone=True))
        writer(Publication(b"[4]\n[5]", topic.name))
    reading = Reading((topic.name,), "lines", records=2)
    with closing(TopicReader(topic.cluster, reading)) as reader:
        read = take(reader, 4)

    assert (sent.attributes["kafka.count"], sent.attributes["kafka.offset"]) == ("3", "2")
    assert (nothing.relationship, nothing.attributes["kafka.count"]) == ("success", "0")
    assert (no_key.relationship, no_key.attributes["publishtopic.error.code"]) == ("failure", "NO_KEY")
    assert [each.contents for each in read] == [b"[1]\n[2]", b"[3]", b"", b"[4]\n[5]"]
    assert [each.attributes["kafka.max.offset"] for each in read] == ["1", "2", "3", "5"]
    assert read[2].attributes.get("kafka.tombstone") == "true"


@KAFKA
def test_that_an_offset_is_committed_only_when_nifi_has_the_record_for_sure(topic: Topic) -> None:
    topic.fill(5)
    clock = Clock()
    reader = TopicReader(topic.cluster, topic.reading, clock)

    take(reader, 2)
    clock.now += topics_consuming.SETTLED
    take(reader, 1)  # exactly the longest session after the first two: not yet
    assert topic.committed() is None

    clock.now += 1.5
    take(reader, 1)
    assert topic.committed() == 2

    reader.close()  # NiFi has stored all when it stops a processor
    assert topic.committed() == 4
    with closing(TopicReader(topic.cluster, topic.reading)) as after:
        assert [each.contents for each in take(after, 1)] == [b"4"]


KILLED = """
import sys
from penstock.processors.topics_cluster import Cluster
from penstock.processors.topics_consuming import Reading, TopicReader
reader = TopicReader(Cluster(sys.argv[1]), Reading((sys.argv[2],), sys.argv[3]))
while True:
    if outcome := reader.next():
        print(outcome.contents.decode(), flush=True)
"""


@KAFKA
def test_that_a_kill_loses_nothing(topic: Topic) -> None:
    topic.fill(4000)
    arguments = [sys.executable, "-c", KILLED, topic.cluster.servers, topic.name, topic.reading.group]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        before = {int(process.stdout.readline()) for _ in range(1000)}
        process.send_signal(signal.SIGKILL)
    committed = topic.committed() or 0
    with closing(TopicReader(topic.cluster, topic.reading)) as reader:
        after = {int(each.contents or b"") for each in take(reader, 4000 - committed)}

    assert before | after == {*range(4000)}


@KAFKA
def test_that_two_members_share_a_topic(kafka_broker: Broker) -> None:
    with closing(Topic(kafka_broker.address, partitions=2)) as topic:
        share(topic)


def share(topic: Topic) -> None:
    found: list[set[int]] = [set(), set()]
    done = threading.Event()

    def read(number: int) -> None:
        with closing(TopicReader(topic.cluster, topic.reading)) as reader:
            while not done.is_set():
                if outcome := reader.next():
                    found[number].add(int(outcome.contents or b""))

    sent = 0
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(read, number) for number in range(2)]
        end = time.monotonic() + 90
        try:
            while not all(found):
                topic.fill(10, partitions=2, first=sent)
                sent += 10
                assert time.monotonic() < end, "both read"
            while found[0] | found[1] != {*range(sent)}:
                assert time.monotonic() < end, f"{sent} records, not {len(found[0] | found[1])}"
                time.sleep(0.1)
        finally:
            done.set()
        for each in running:
            each.result(60)


@KAFKA
def test_that_many_threads_share_a_writer(topic: Topic) -> None:
    with closing(TopicWriter(topic.cluster, Writing())) as writer, ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda number: writer(Publication(b"%d" % number, topic.name)), range(400)))

    assert {each.relationship for each in done} == {"success"}
    records = topic.records()
    assert {int(record.value) for record in records} == {*range(400)}
    assert len(records) == 400


@KAFKA
def test_a_record_that_the_broker_refuses(topic: Topic) -> None:
    with closing(TopicWriter(topic.cluster, Writing())) as writer:
        too_large = writer(Publication(bytes(3_000_000), topic.name))
        no_topic = writer(Publication(b"x", ""))
        bad_topic = writer(Publication(b"x", "no/topic"))
        good = writer(Publication(b"x", topic.name))

    outcomes = [
        (each.relationship, each.attributes["publishtopic.error.code"]) for each in (too_large, no_topic, bad_topic)
    ]
    assert outcomes == [
        ("failure", "KAFKA_MESSAGESIZETOOLARGE"),
        ("failure", "NO_TOPIC"),
        ("failure", "BAD_TOPIC"),
    ]
    assert good.relationship == "success"


@KAFKA
@FORGETFUL
@pytest.mark.usefixtures("forgotten")
def test_a_broker_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    kafka = Broker(tmp_path / "kafka")
    address = kafka.up(0).address
    try:
        with (
            closing(Topic(address)) as topic,
            closing(TopicWriter(topic.cluster, Writing(deadline=2.0))) as writer,
        ):
            succeeds(writer, Publication(b"before", topic.name))
            kafka.down()
            away = writer(Publication(b"meanwhile", topic.name))
            kafka.up(int(address.rpartition(":")[2]))
            succeeds(writer, Publication(b"after", topic.name))
            assert away.relationship == "retry"
            assert b"after" in {record.value for record in topic.records()}
    finally:
        kafka.down()


def succeeds(writer: TopicWriter, publication: Publication) -> None:
    """Publish until it succeeds: a broker that has just started may take longer than the deadline."""
    end = time.monotonic() + 120
    while writer(publication).relationship != "success":
        assert time.monotonic() < end


@pytest.fixture
def forgotten() -> Iterator[None]:
    """kafka-python does not close the sockets of a client that could not start; the collector does, in here."""
    logging.disable(logging.CRITICAL)  # what pytest keeps of its log would keep them too
    yield
    gc.collect()
    logging.disable(logging.NOTSET)


@pytest.fixture
def nobody(forgotten: None) -> Iterator[str]:
    with socket.socket() as taken:  # bound and not listening: nobody answers there
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@FORGETFUL
def test_that_nobody_there_is_a_reason_to_retry(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.processors.topics_cluster._BOOTSTRAP_MS", 300)
    before = {*threading.enumerate()}  # a test before this one may still be closing its clients
    with closing(TopicReader(Cluster(nobody), Reading(("t",), "g"))) as reader, pytest.raises(PenstockError) as caught:
        reader.next()
    with closing(TopicWriter(Cluster(nobody), Writing(deadline=0.5))) as writer:
        outcome = writer(Publication(b"x", "t"))

    # NiFi tries again every second: nothing may be left behind each time.
    assert not [each.name for each in threading.enumerate() if each not in before and "kafka" in each.name]
    assert caught.value.retryable
    assert nobody in caught.value.message
    assert outcome.relationship == "retry"
    assert outcome.attributes["publishtopic.error.code"].startswith("KAFKA_")


@FORGETFUL
@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("trusted", [True, False])
def test_that_tls_trusts_the_given_authority_only(
    trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.processors.topics_cluster._BOOTSTRAP_MS", 1000)
    authority, other = trustme.CA(), trustme.CA()
    (authority if trusted else other).cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    shaken: list[bool] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    with context.wrap_socket(connection, server_side=True) as secured:
                        secured.settimeout(5)
                        shaken.append(bool(secured.recv(1)))  # the client's first request
                except OSError:
                    shaken.append(False)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        values = {
            "Bootstrap servers": address,
            "Security protocol": "SSL",
            "Trusted certificates": str(tmp_path / "ca.pem"),
        }
        with closing(TopicWriter(cluster_of(values), Writing(deadline=0.5))) as writer:
            assert writer(Publication(b"x", "t")).relationship == "retry"  # it is no broker
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(30)

    assert shaken
    assert any(shaken) is trusted


def test_that_properties_are_read(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.touch()
    values = {
        "Bootstrap servers": "a:1, b:2", "Security protocol": "SASL_SSL", "SASL mechanism": "SCRAM-SHA-256",
        "User": "iris", "Password": "s3cret", "Trusted certificates": str(ca_file),
        "Topic": "one, two", "Group id": "g", "Starting offset": "latest", "Records per FlowFile": "500",
        "Key encoding": "hex", "Header prefix": "h.",
    }  # fmt: skip

    assert cluster_of(values) == Cluster("a:1, b:2", "SASL_SSL", "SCRAM-SHA-256", "iris", "s3cret", str(ca_file))
    assert cluster_of(values).options() == {
        "bootstrap_servers": ["a:1", "b:2"],
        "bootstrap_timeout_ms": 5000,
        "metadata_max_age_ms": 30000,
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": "iris",
        "sasl_plain_password": "s3cret",
        "ssl_cafile": str(ca_file),
    }
    assert "s3cret" not in repr(cluster_of(values))
    assert reading_of(values) == Reading(("one", "two"), "g", "latest", 500, b"\n", KeyEncoding.HEX, "h.")
    lines = {"Records per FlowFile": "one record per line", "Headers": "puid, kafka.header.a", "Deadline": "500 ms"}
    assert writing_of(lines) == Writing(Records.LINES, KeyEncoding.TEXT, ("puid", "kafka.header.a"), 0.5)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"Bootstrap servers": " "}, "Bootstrap servers is not set"),
        ({"Topic": None}, "Topic is not set"),
        ({"Group id": None}, "Group id is not set"),
        ({"Records per FlowFile": "0"}, "1 or more"),
        ({"Security protocol": "SASL_SSL", "SASL mechanism": "PLAIN"}, "SASL_SSL needs User, Password too"),
        ({"Password": "s3cret"}, "Security protocol is PLAINTEXT"),
        ({"Trusted certificates": "/no/such.pem"}, "there is no file /no/such.pem"),
        ({}, None),
    ],
)
def test_what_is_wrong_with_properties(changed: dict[str, str | None], said: str | None) -> None:
    found = topics_consuming.problem({"Bootstrap servers": "a:1", "Topic": "t", "Group id": "g"} | changed)

    assert (found is None) if said is None else (found is not None and said in found)
    assert "s3cret" not in (found or "")


def test_what_is_wrong_with_the_properties_of_a_writer() -> None:
    assert topics_publishing.problem({"Bootstrap servers": "a:1"}) is None
    assert "a time such as" in (topics_publishing.problem({"Bootstrap servers": "a:1", "Deadline": "soon"}) or "")
