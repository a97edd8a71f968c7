"""Readings of the past written to a topic, as stations would: keyed by station, so that a series stays in order."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaException, Producer

from penstock.proto.jsontext import dumps
from penstock.streams.librdkafka import in_our_words, librdkafka_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from confluent_kafka import KafkaError, Message

    from penstock.streams.spec import Kafka

    from .readings import Reading

    Told = Callable[[KafkaError | None, Message[bytes, bytes]], None]

_WITHIN: Final = 30.0


def send(readings: Iterable[Reading], topic: str, kafka: Kafka, *, rate: float = 0.0) -> int:
    """Write readings as JSON records, in their order.

    Args:
        readings: such as those of `history`.
        topic: where to.
        kafka: the broker.
        rate: readings in a second; 0 for as fast as the broker takes them.

    Returns:
        How many were written.

    Raises:
        PenstockError: the broker does not answer, or does not take one.
    """
    failed: list[KafkaError] = []

    def told(error: KafkaError | None, _: Message[bytes, bytes]) -> None:
        if error is not None:
            failed.append(error)

    try:
        settings = {"enable.idempotence": True, "partitioner": "murmur2_random", "linger.ms": 5}
        producer = Producer({**librdkafka_settings(kafka), **settings, "message.timeout.ms": int(_WITHIN * 1000)})
        sent, began = 0, time.monotonic()
        for sent, reading in enumerate(readings, 1):
            if rate:
                time.sleep(max(0.0, began + sent / rate - time.monotonic()))
            _produce(producer, topic, reading, told)
        producer.flush(_WITHIN)
    except KafkaException as error:
        raise in_our_words(error, kafka) from None
    if failed:
        raise in_our_words(failed[0], kafka)
    return sent


def _produce(producer: Producer, topic: str, reading: Reading, told: Told) -> None:
    value = {
        "station_id": reading.station,
        "parameter_id": reading.parameter,
        "reading_time": reading.time,
        "value": reading.value,
    }
    while True:
        try:
            producer.produce(topic, dumps(value), reading.station.encode(), on_delivery=told)
        except BufferError:  # librdkafka's queue is full: let it send
            producer.poll(1.0)
        else:
            producer.poll(0)
            return
