"""A stream that asks a real seldon-core-microservice: records of a topic come out classified, over each transport."""

from __future__ import annotations

import json
import os
import sys
import textwrap
import time
import warnings
from contextlib import closing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sklearn.datasets import load_iris
from tests.peers.programs import program

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python reads its schemas in an old way
    from kafka import KafkaConsumer, KafkaProducer  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from pathlib import Path

    from tests.peers.servers import Server

    from penstock.deploy.kafka import Broker

pytestmark = [pytest.mark.peers, pytest.mark.kafka, pytest.mark.xdist_group("peers")]

_SECONDS = 120.0
_FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_every_flower_is_classified_by_the_peer(
    transport: str, seldon_server: Server, kafka_broker: Broker, tmp_path: Path
) -> None:
    address = f"grpc://{seldon_server.grpc}" if transport == "grpc" else seldon_server.rest
    name = f"peers-{transport}-{uuid4().hex[:8]}"
    rows, classes = load_iris(return_X_y=True)
    _send(kafka_broker.address, f"{name}-in", [dict(zip(_FEATURES, row, strict=True)) for row in rows.tolist()])
    spec = _spec(tmp_path, name, address, kafka_broker.address)
    command = [sys.executable, "-m", "penstock.cli", "stream", "run", str(spec)]
    with program(command, log=tmp_path / "log", ready=lambda: True, folder=tmp_path, variables=os.environ):
        answers = _read(kafka_broker.address, f"{name}-out", len(rows))
        (dead,) = _read(kafka_broker.address, f"{name}-dead", 1)
    found = {int(answer.key): json.loads(answer.value) for answer in answers}
    assert sorted(found) == list(range(len(rows)))
    right = sum(
        max(found[index]["prediction"]) == found[index]["prediction"][kind] for index, kind in enumerate(classes)
    )
    assert right / len(rows) > 0.9
    assert all("puid" in dict(answer.headers) for answer in answers)
    assert dead.value == b"not a record"


def _spec(folder: Path, name: str, address: str, broker: str) -> Path:
    path = folder / "stream.toml"
    text = f"""
        name = "{name}"
        [source]
        topic = "{name}-in"
        format = "ndarray"
        features = {json.dumps(_FEATURES)}
        [service]
        address = "{address}"
        deadline = 20
        [sink]
        topic = "{name}-out"
        format = "ndarray"
        field = "prediction"
        [dead_letter]
        topic = "{name}-dead"
        [kafka]
        bootstrap = "{broker}"
    """
    path.write_text(textwrap.dedent(text))
    return path


def _send(broker: str, topic: str, records: list[dict[str, float]]) -> None:
    with closing(KafkaProducer(bootstrap_servers=broker, acks="all")) as producer:
        for key, record in enumerate(records):
            producer.send(topic, key=str(key).encode(), value=json.dumps(record).encode())
        producer.send(topic, key=b"bad", value=b"not a record")
        producer.flush(60)


def _read(broker: str, topic: str, count: int) -> list[Any]:
    consumer = KafkaConsumer(topic, bootstrap_servers=broker, auto_offset_reset="earliest", group_id=None)
    records: list[Any] = []
    end = time.monotonic() + _SECONDS
    with closing(consumer):
        while len(records) < count:
            assert time.monotonic() < end, f"{len(records)} of {count} records in {topic}"
            for batch in consumer.poll(timeout_ms=500).values():
                records += batch
    return records
