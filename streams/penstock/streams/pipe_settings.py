"""What the two clients of a pipe are told to do, each number with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from .librdkafka import librdkafka_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .spec import Kafka, Stream

# Records that librdkafka fetches ahead: enough to keep a fast model supplied, small beside the worker itself.
_AHEAD_KIB: Final = 16 << 10
_AHEAD_RECORDS: Final = 20_000
# Where the above is reached it looks again after so long; its own 1,000 ms would starve a fast model.
_AHEAD_AGAIN_MS: Final = 5
# A call for the next records waits at the broker no longer than this where there are none.
_FETCH_WAIT_MS: Final = 100
# Heartbeats in one session time-out: Kafka's own advice is at least three.
_HEARTBEATS: Final = 4
# Every record of a burst joins its batch, and a single one is not held up noticeably.
_LINGER_MS: Final = 5
_BATCH_BYTES: Final = 900_000  # below the 1,048,588 that a broker takes unless told otherwise
_BATCH_FRAME: Final = 100  # what librdkafka does not count of a batch
_ASK_WITHIN: Final = 5.0
# What is too large for the broker, the broker says; this only bounds what one record may need here.
_LARGEST: Final = 64 << 20
_QUEUE_KIB: Final = 128 << 10
# A thread without polls for so many seconds is stuck; a slow model is not, because polling goes on beside it.
LONGEST_POLL: Final = 300.0
_LONGEST_RECONNECT_MS: Final = 2000  # how long a broker may have been back before it is noticed


def consumer_settings(stream: Stream) -> dict[str, Any]:
    """Of a consumer whose offsets move only where `pipe_session` says so.

    Raises:
        SetupError: a secret is not in the environment.
    """
    kafka = stream.kafka
    session = round(kafka.session_timeout * 1000)
    return _client_settings(kafka) | {
        "group.id": kafka.group,
        "session.timeout.ms": session,
        "heartbeat.interval.ms": session // _HEARTBEATS,
        "max.poll.interval.ms": round(LONGEST_POLL * 1000),
        "auto.offset.reset": stream.source.start,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        # Eager: after each rebalance every position comes from the committed offsets, so nothing of before counts.
        "partition.assignment.strategy": "range,roundrobin",
        "allow.auto.create.topics": False,
        "queued.max.messages.kbytes": _AHEAD_KIB,
        "queued.min.messages": _AHEAD_RECORDS,
        "fetch.queue.backoff.ms": _AHEAD_AGAIN_MS,
        "fetch.wait.max.ms": _FETCH_WAIT_MS,
        "fetch.max.bytes": _AHEAD_KIB << 10,
    }


def producer_settings(stream: Stream, *, transactional_id: str, batch_bytes: int, alone: bool) -> dict[str, Any]:
    """Of an idempotent producer that waits for all replicas.

    Args:
        stream: its spec.
        transactional_id: empty for a producer without transactions.
        batch_bytes: the largest batch.
        alone: whether each record has a batch of its own, so that the broker refuses none but the bad one.

    Raises:
        SetupError: a secret is not in the environment.
    """
    settings = _client_settings(stream.kafka) | {
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2_random",  # the partition that Java's clients and Faust give a key
        "linger.ms": _LINGER_MS,
        "batch.size": batch_bytes,
        "message.max.bytes": _LARGEST,
        "queue.buffering.max.kbytes": _QUEUE_KIB,
        "delivery.report.only.error": True,
        "message.timeout.ms": 0,  # a broker that is away is waited for
    }
    if alone:
        settings["batch.num.messages"] = 1
    if transactional_id:
        del settings["message.timeout.ms"]  # the transaction's own bounds it
        settings["transactional.id"] = transactional_id
        # What a killed worker has left open holds up readers, and the partitions' next worker, for no longer than
        # its membership.
        settings["transaction.timeout.ms"] = round(stream.kafka.session_timeout * 1000)
    return settings


def largest_batch(kafka: Kafka, topics: Sequence[str]) -> int:
    """Bytes of a batch that each of ``topics`` takes, so that only a record that is too large itself is refused.

    Where the broker does not tell, it is the usual value.

    Raises:
        KafkaException: no answer in time.
        SetupError: a secret is not in the environment.
    """
    admin = AdminClient(_client_settings(kafka))
    asked = admin.describe_configs(
        [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in topics], request_timeout=_ASK_WITHIN
    )
    most = _BATCH_BYTES
    for reply in asked.values():
        try:
            limit = reply.result()["max.message.bytes"].value
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise
        else:
            most = min(most, max(1, int(limit) - _BATCH_FRAME))
    return most


def _client_settings(kafka: Kafka) -> dict[str, Any]:
    return librdkafka_settings(kafka) | {"reconnect.backoff.max.ms": _LONGEST_RECONNECT_MS}
