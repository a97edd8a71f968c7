"""``penstock kafka topics``, ``produce``, ``consume`` and ``lag`` against a real broker."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pytest
from confluent_kafka import Producer
from kafka import OffsetAndMetadata, TopicPartition  # type: ignore[import-untyped]  # it has no types

from penstock.proto import Kind, Payload, encode

from ..typed import Ran, typed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..conftest import Cluster

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]


@pytest.fixture
def topic(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PENSTOCK_KAFKA", cluster.address)
    return cluster.create(f"hand-{uuid4().hex[:8]}", 2)


def kafka(*arguments: str, stdin: bytes = b"") -> Ran:
    return typed("kafka", *arguments, stdin=stdin)


def consumed(*arguments: str) -> list[dict[str, Any]]:
    ran = kafka("consume", *arguments, "--output", "json")
    assert ran.code == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


TENSOR = b'{"shape":[2],"values":[1.0,2.5]}'
TFTENSOR = encode(Payload(Kind.TFTENSOR, np.array([[1.5, 2.5]], dtype=np.float32)))


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("binData", b"\x00\xff\n\x01", b64encode(b"\x00\xff\n\x01").decode()),
        ("strData", "größer\nals".encode(), "größer\nals"),
        ("jsonData", b'{"a": [1, null, "x"]}', {"a": [1, None, "x"]}),
        ("ndarray", b'[[1, 2.5], ["a", null]]', [[1, 2.5], ["a", None]]),
        ("tensor", TENSOR, {"shape": [2], "values": [1.0, 2.5]}),
        ("tftensor", TFTENSOR, None),
    ],
)
def test_each_kind_there_and_back(topic: str, tmp_path: Path, kind: str, value: bytes, shown: object) -> None:
    file = tmp_path / "value"
    file.write_bytes(value)
    ran = kafka("produce", topic, f"@{file}", "--format", kind, "--whole", "--key", "k", "-H", "a=1", "-H", "a=2")
    assert ran.code == 0, ran.stderr
    (record,) = consumed(topic, "--format", kind)
    assert (record["topic"], record["key"], record["headers"]) == (topic, "k", [["a", "1"], ["a", "2"]])
    if kind == "tftensor":
        assert record["value"]["dtype"] == "DT_FLOAT"
    else:
        assert record["value"] == shown
    folder = tmp_path / "saved"
    saved = kafka("consume", topic, "--format", kind, "--save", str(folder)).stdout.splitlines()
    assert [each.read_bytes() for each in folder.iterdir()] == [value]
    assert saved == [str(each) for each in folder.iterdir()]


def test_lines_with_keys_and_a_bad_one(topic: str, tmp_path: Path) -> None:
    file = tmp_path / "readings.jsonl"
    file.write_text('{"id": 7, "at": {"station": "a/b"}}\n\n{"id": 8, "at": {"station": 3}}\n')
    form = ("--format", "jsonData", "--key-field", "/at/station")
    ran = kafka("produce", topic, f"@{file}", *form, "--output", "json")
    assert json.loads(ran.stdout)["records"] == 2
    assert sorted((each["key"], each["value"]["id"]) for each in consumed(topic)) == [("3", 8), ("a/b", 7)]

    file.write_text('{"id": 9, "at": {"station": "c"}}\n{"id": 10}\n')
    ran = kafka("produce", topic, f"@{file}", *form)
    assert (ran.code, ran.stderr) == (1, f"error: {file}, line 2: the record has no /at/station\n")
    ran = kafka("produce", topic, f"@{file}", "--format", "ndarray")
    assert ran.stderr.startswith(f"error: {file}, line 1: ")
    assert len(consumed(topic)) == 2, "nothing of a file with a bad line is sent"

    ran = kafka("produce", topic, stdin=b"[1, 2]\n[3\n")
    assert (ran.code, ran.stderr[:15]) == (1, "error: line 2: ")
    assert len(consumed(topic)) == 3, "standard input is sent as it comes"


def test_where_reading_starts_and_ends(topic: str, cluster: Cluster) -> None:
    for number in range(10):
        cluster.send(topic, b"%d" % number, b"even" if number % 2 == 0 else None, partition=number // 5)
    cluster.flush()

    def values(*arguments: str) -> str:
        return "".join(sorted(kafka("consume", topic, *arguments).stdout.split()))

    assert values() == "0123456789"
    assert values("--from", "3") == "3489"
    assert values("--from", "1/2") == "789"
    assert values("--from", "-1") == "49"
    assert values("--from", "end") == ""
    assert values("--from", "1h") == "0123456789"
    assert values("--from", "2099-01-01") == ""
    assert values("--partition", "1") == "56789"
    assert values("--key", "even") == "02468"
    assert values("--partition", "0", "--count", "2") == "01"
    for wrong, said in ((("--from", "here"), "'here' is no time"), (("--partition", "7"), "has the partitions 0 to 1")):
        ran = kafka("consume", topic, *wrong)
        assert ran.code == 1
        assert said in ran.stderr


def test_that_only_committed_records_are_seen(topic: str, cluster: Cluster) -> None:
    producer = Producer({"bootstrap.servers": cluster.address, "transactional.id": topic})
    producer.init_transactions(30)
    for value, end in ((b"kept", producer.commit_transaction), (b"aborted", producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce(topic, value, partition=0)
        producer.flush(30)
        end(30)
    assert kafka("consume", topic).stdout == "kept\n"
    assert kafka("consume", topic, "--uncommitted").stdout == "kept\naborted\n"


def test_tombstones_and_what_is_refused(topic: str) -> None:
    assert kafka("produce", topic, "--tombstone", "--key", "k").code == 0
    assert [(each["key"], each["value"]) for each in consumed(topic)] == [("k", None)]
    for arguments, said in (
        (("produce", topic, "--tombstone"), "a tombstone says that a key is no more"),
        (("produce", topic, "[1]", "--key", "a", "--key-field", "b"), "--key and --key-field"),
        (("produce", topic, "x", "--format", "strData", "--key-field", "b"), "which strData is not"),
        (("produce", topic, "[1]", "--header", "a"), "--header 'a' is no NAME=VALUE"),
        (("produce", topic, "@/nowhere"), "cannot read /nowhere"),
        (("produce", f"{topic}-x", "[1]"), f"there is no topic '{topic}-x'"),
        (("consume", f"{topic}-x"), f"there is no topic '{topic}-x'"),
        (("topics", f"{topic}-x"), f"there is no topic '{topic}-x'"),
        (("topics", "--create", topic), "already exists"),
        (("topics", "--delete", topic), "say --yes"),
    ):
        ran = kafka(*arguments)
        assert (ran.code, ran.stdout) == (1, ""), arguments
        assert said in ran.stderr
        assert ran.stderr.count("\n") == 1


def test_topics_are_listed_created_and_deleted(topic: str, cluster: Cluster) -> None:
    name = f"{topic}-new"
    ran = kafka("topics", "--create", name, "--partitions", "3", "--config", "cleanup.policy=compact")
    assert ran.stdout == f"{name}\t3\t1\t0\t0 bytes\n"
    cluster.send(name, b"x" * 5000, b"k")
    cluster.flush()
    (told,) = [json.loads(line) for line in kafka("topics", name, "--output", "json").stdout.splitlines()]
    assert (told["partitions"], told["records"]) == (3, 1)
    assert told["bytes"] >= 5000
    listed = {line.split("\t")[0] for line in kafka("topics").stdout.splitlines()}
    assert {topic, name} <= listed
    assert not any(each.startswith("__") for each in listed)
    assert kafka("topics", "--delete", name, "--yes").code == 0
    until = time.monotonic() + 30
    while name in cluster.admin.list_topics():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_how_far_a_group_is_behind(topic: str, cluster: Cluster, tmp_path: Path) -> None:
    for number in range(6):
        cluster.send(topic, b"[1]", partition=number % 2)
    cluster.flush()
    group = f"penstock-{topic}"
    cluster.commit(group, {TopicPartition(topic, 0): OffsetAndMetadata(2, "", -1)})
    told = [json.loads(line) for line in kafka("lag", "--group", group, "--output", "json").stdout.splitlines()]
    assert told == [{"group": group, "topic": topic, "partition": 0, "committed": 2, "end": 3, "lag": 1}]
    spec = tmp_path / "stream.toml"
    spec.write_text(f'''
        name = "{topic}"
        source = {{ topic = "{topic}", format = "ndarray" }}
        service = {{ address = "127.0.0.1:1" }}
        sink = {{ topic = "{topic}-out" }}
        kafka = {{ bootstrap = "{cluster.address}" }}
    ''')
    ran = kafka("lag", "--spec", str(spec), "--bootstrap", cluster.address)
    assert ran.stdout == f"{group}\t{topic}\t0\t2\t3\t1\n{group}\t{topic}\t1\t-\t3\t3\n"
    assert ran.stderr == "4 behind\n"


def test_that_following_ends_cleanly(topic: str, cluster: Cluster) -> None:
    command = [sys.executable, "-m", "penstock.cli", "kafka", "consume", topic, "--follow", "--from", "beginning"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for number in range(3):
            cluster.send(topic, b"%d" % number, partition=0)
            cluster.flush()
            assert process.stdout.readline() == f"{number}\n"
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""


@pytest.fixture
def forgotten() -> Iterator[None]:
    """kafka-python does not close the sockets of a client that could not start; the collector does, in here."""
    logging.disable(logging.CRITICAL)  # what pytest keeps of its log would keep them, too
    yield
    gc.collect()
    logging.disable(logging.NOTSET)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.usefixtures("forgotten")
def test_a_broker_that_is_away() -> None:
    ran = kafka("topics", "--bootstrap", "127.0.0.1:1")
    assert ran == Ran(1, "", "error: Kafka at 127.0.0.1:1: Unable to bootstrap from ['127.0.0.1:1']; is it running?\n")
