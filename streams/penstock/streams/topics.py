"""The topics a stream needs: looked for when it starts, created where they are missing and may be."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # type: ignore[import-untyped]
from aiokafka.errors import KafkaConnectionError, KafkaError, for_code  # type: ignore[import-untyped]

from penstock.proto import SetupError, Unavailable

from .connection import aiokafka_settings

if TYPE_CHECKING:
    from .spec import Kafka, Stream

_log = logging.getLogger("penstock.streams")

_MOST_REPLICAS: Final = 3  # what Kafka's own topics get, where there are so many brokers
_FINE: Final = frozenset({0, 36})  # no error; it was created meanwhile


async def ensure_topics(stream: Stream) -> int:
    """See to it that the three topics are there; the number of partitions of the source.

    Sink and dead-letter topics that are created get as many partitions as the source has.

    Raises:
        Unavailable: no broker within ``start_timeout``.
        SetupError: a topic is missing and must not, or cannot, be created.
    """
    admin = await _connected(stream.kafka)
    try:
        found = await _partitions(admin, [stream.source.topic, stream.sink.topic, stream.dead_letter])
        if stream.source.topic not in found:
            await _create(admin, stream, stream.source.topic, stream.kafka.partitions)
            found |= await _partitions(admin, [stream.source.topic])
        partitions = found.get(stream.source.topic, 1)
        for topic in (stream.sink.topic, stream.dead_letter):
            if topic not in found:
                await _create(admin, stream, topic, partitions)
    except KafkaError as error:
        raise SetupError(f"the broker at {stream.kafka.bootstrap} does not tell its topics: {error}") from None
    finally:
        await admin.close()
    return partitions


async def _connected(kafka: Kafka) -> Any:
    ends = monotonic() + kafka.start_timeout
    while True:
        admin = AIOKafkaAdminClient(**aiokafka_settings(kafka))
        try:
            await admin.start()
        except (KafkaConnectionError, OSError):
            await admin.close()
            if monotonic() >= ends:
                raise Unavailable(
                    f"no Kafka broker answers at {kafka.bootstrap}, tried for {kafka.start_timeout:g} s; "
                    "start it (penstock kafka up), or change kafka.bootstrap in the spec"
                ) from None
            await asyncio.sleep(0.5)
        except KafkaError as error:
            await admin.close()
            raise SetupError(f"the broker at {kafka.bootstrap} refuses the connection: {error}") from None
        else:
            return admin


async def _partitions(admin: Any, topics: list[str]) -> dict[str, int]:
    # Asking for a topic that is not there would have some brokers create it.
    there = sorted(set(topics) & set(await admin.list_topics()))
    told = await admin.describe_topics(there) if there else []
    return {each["topic"]: len(each["partitions"]) for each in told if each["error_code"] == 0}


async def _create(admin: Any, stream: Stream, topic: str, partitions: int) -> None:
    if not stream.kafka.create_topics:
        raise SetupError(
            f"there is no topic {topic!r} at {stream.kafka.bootstrap}; create it, or allow it with "
            "kafka.create_topics = true",
            code="NO_TOPIC",
        )
    brokers = len((await admin.describe_cluster())["brokers"])
    reply = await admin.create_topics([NewTopic(topic, partitions, min(brokers, _MOST_REPLICAS))])
    code, reason = reply.topic_errors[0][1], reply.topic_errors[0][2]
    if code not in _FINE:
        said = reason or for_code(code).__name__
        raise SetupError(f"the broker at {stream.kafka.bootstrap} does not create {topic!r}: {said}", code="NO_TOPIC")
    _log.info("created topic %s", topic)
    for _ in range(100):  # until every broker knows it: 10 s
        if topic in await _partitions(admin, [topic]):
            return
        await asyncio.sleep(0.1)
