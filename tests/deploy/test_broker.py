"""A real broker, fetched and started."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from penstock.deploy.kafka import Broker

pytestmark = pytest.mark.kafka

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python reads its own resources the old way
    from kafka import KafkaConsumer, KafkaProducer


@pytest.mark.parametrize("n", [1, 2])
def test_a_record_comes_back(kafka_broker: Broker, n: int) -> None:
    topic = f"back-{uuid4().hex}"
    with KafkaProducer(bootstrap_servers=kafka_broker.address) as producer:
        producer.send(topic, key=b"k", value=b"v", headers=[("h", b"1")]).get(30)
    with KafkaConsumer(topic, bootstrap_servers=kafka_broker.address, auto_offset_reset="earliest") as consumer:
        record = next(consumer)
    assert (record.key, record.value, record.headers) == (b"k", b"v", [("h", b"1")])
