"""The changelog of the table: a compacted topic with the partitions of the source, written by the worker itself."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError as ProducerError  # type: ignore[import-untyped]
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from penstock.proto import SetupError
from penstock.streams.connection import aiokafka_settings
from penstock.streams.librdkafka import in_our_words, librdkafka_settings
from penstock.streams.patience import BackOff

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.streams.patience import Patience

    from .series import Series
    from .spec import Forecast

_MOST_REPLICAS: Final = 3
_WITHIN: Final = 30.0
_STOP_WITHIN: Final = 5.0
_SETTINGS: Final = {
    "cleanup.policy": "compact",
    # Segments of this size are read back in seconds; only those that are full are compacted.
    "segment.bytes": str(4 << 20),
    # What a worker that was stopped writes when it wakes must not yet have replaced what its successor wrote.
    "min.compaction.lag.ms": str(5 * 60 * 1000),
}


async def ensure_changelog(forecast: Forecast) -> None:
    """See to it that the changelog is there, with as many partitions as the source.

    Raises:
        SetupError: it has another number of partitions, or is missing and must not be created.
        Unavailable: the broker does not answer.
    """
    await asyncio.to_thread(_ensure, forecast)


def _ensure(forecast: Forecast) -> None:
    kafka, source, name = forecast.stream.kafka, forecast.stream.source.topic, forecast.changelog
    try:
        admin = AdminClient(librdkafka_settings(kafka))
        cluster = admin.list_topics(timeout=_WITHIN)
        wanted = len(cluster.topics[source].partitions)
        if name not in cluster.topics and kafka.create_topics:
            _create(admin, NewTopic(name, wanted, min(len(cluster.brokers), _MOST_REPLICAS), config=_SETTINGS))
            cluster = admin.list_topics(timeout=_WITHIN)
    except KafkaException as error:
        raise in_our_words(error, kafka) from None
    if name not in cluster.topics:
        raise SetupError(
            f"there is no topic {name!r} at {kafka.bootstrap}; create it compacted and with {wanted} partitions, or "
            "allow it with kafka.create_topics = true",
            code="NO_TOPIC",
        )
    there = len(cluster.topics[name].partitions)
    if there != wanted:
        raise SetupError(
            f"the changelog {name} has {there} partitions, and {source} has {wanted}: series have moved between "
            "partitions; stop all workers, delete the changelog or choose another kafka.group, and start again",
            code="PARTITIONS_DIFFER",
        )


def _create(admin: AdminClient, topic: NewTopic) -> None:
    """Create a topic, unless another worker has just done so, and wait until it is known."""
    try:
        admin.create_topics([topic])[topic.topic].result(_WITHIN)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
    ends = monotonic() + _WITHIN
    while topic.topic not in admin.list_topics(timeout=_WITHIN).topics and monotonic() < ends:
        sleep(0.1)


class Changelog:
    """Writes to it; returns once all replicas have what was written."""

    def __init__(self, forecast: Forecast, patience: Patience) -> None:
        self._kafka = forecast.stream.kafka
        self._topic = forecast.changelog
        self._back_off = BackOff(patience, f"the broker at {self._kafka.bootstrap}")
        self._producer: Any = None

    async def write(self, series: Mapping[str, Series]) -> None:
        """Write the memory of these series, again and again where the broker is away.

        Raises:
            Abandoned: the waiting was ended.
        """
        while True:
            try:
                await self._write(series)
            except ProducerError as error:
                # A producer that has lost a batch cannot go on: its sequence numbers have a gap.
                await self.close()
                await self._back_off.wait(f"{type(error).__name__} while writing {self._topic}")
            else:
                self._back_off.over()
                return

    async def _write(self, series: Mapping[str, Series]) -> None:
        producer = await self._started()
        sent = [
            await producer.send(self._topic, each.dumped(), name.encode(), partition=each.partition)
            for name, each in series.items()
        ]
        for outcome in await asyncio.gather(*sent, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _started(self) -> Any:
        if self._producer is None:
            producer = AIOKafkaProducer(**aiokafka_settings(self._kafka), acks="all", enable_idempotence=True)
            self._producer = producer
            await producer.start()
        return self._producer

    async def close(self) -> None:
        """End the connection; what was written is written."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        with suppress(TimeoutError, ProducerError):
            async with asyncio.timeout(_STOP_WITHIN):
                await producer.stop()
