"""The topics of a broker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition  # type: ignore[import-untyped]  # it has no types
from kafka.errors import KafkaError  # type: ignore[import-untyped]  # it has no types

from penstock.proto import SetupError

from .client import client

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.streams.spec import Kafka


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic.

    Attributes:
        name: its name.
        partitions: how many.
        replicas: of each partition.
        records: offsets between beginning and end: the records, and what marks transactions or was compacted away.
        bytes: on the brokers' disks, all replicas; None where they do not tell.
    """

    name: str
    partitions: int
    replicas: int
    records: int
    bytes: int | None


def topics(kafka: Kafka, names: Sequence[str] = (), *, internal: bool = False) -> list[Topic]:
    """The topics, by name.

    Args:
        kafka: the broker.
        names: only these.
        internal: whether those that Kafka keeps for itself are wanted, too.

    Raises:
        SetupError: ``NO_TOPIC``, one of ``names`` is not there. PenstockError: no broker answers, or refuses.
    """
    with client(KafkaAdminClient, kafka) as admin, client(KafkaConsumer, kafka, group_id=None) as consumer:
        found = {each["name"]: each for each in admin.describe_topics()}
        for name in names:
            if name not in found:
                raise missing(name, kafka)
        chosen = [
            each
            for name, each in sorted(found.items())
            if name in names or not (names or (each["is_internal"] and not internal))
        ]
        parts = [
            TopicPartition(each["name"], part["partition_index"]) for each in chosen for part in each["partitions"]
        ]
        begins, ends = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
        sizes = _sizes(admin)
    return [_topic(each, begins, ends, sizes) for each in chosen]


def create_topic(
    kafka: Kafka, name: str, *, partitions: int = 1, replicas: int = -1, settings: dict[str, str] | None = None
) -> None:
    """Create a topic and wait until it can be written.

    Args:
        kafka: the broker.
        name: of the topic.
        partitions: how many.
        replicas: of each; -1 for what the broker does by itself.
        settings: such as ``cleanup.policy``.

    Raises:
        PenstockError: it is there already, the broker does not take the name or a setting, or does not answer.
    """
    wanted = {"num_partitions": partitions, "replication_factor": replicas, "configs": settings or {}}
    with client(KafkaAdminClient, kafka) as admin:
        admin.create_topics({name: wanted}, wait_for_metadata=True)


def delete_topic(kafka: Kafka, name: str) -> None:
    """Delete a topic with all that is in it.

    Raises:
        PenstockError: it is not there, or the broker refuses or does not answer.
    """
    require(kafka, name)
    with client(KafkaAdminClient, kafka) as admin:
        admin.delete_topics([name])


def require(kafka: Kafka, name: str) -> None:
    """See to it that a topic is there: a client that writes would have the broker create one that was mistyped.

    Raises:
        SetupError: ``NO_TOPIC``. PenstockError: no broker answers, or it refuses.
    """
    with client(KafkaAdminClient, kafka) as admin:
        if name not in admin.list_topics():
            raise missing(name, kafka)


def missing(name: str, kafka: Kafka) -> SetupError:
    """The error for a topic that is not there."""
    return SetupError(
        f"there is no topic {name!r} at {kafka.bootstrap}; create it with: penstock kafka topics --create {name}",
        code="NO_TOPIC",
    )


def _sizes(admin: Any) -> dict[str, int]:
    sizes: dict[str, int] = {}
    try:
        for broker in admin.describe_log_dirs():
            for folder in broker["log_dirs"]:
                for each in folder["topics"]:
                    size = sum(part["partition_size"] for part in each["partitions"])
                    sizes[each["name"]] = sizes.get(each["name"], 0) + size
    except KafkaError:  # it needs a right of its own
        return {}
    return sizes


def _topic(told: dict[str, Any], begins: dict[Any, int], ends: dict[Any, int], sizes: dict[str, int]) -> Topic:
    name, partitions = told["name"], told["partitions"]
    parts = [TopicPartition(name, each["partition_index"]) for each in partitions]
    return Topic(
        name=name,
        partitions=len(parts),
        replicas=max((len(each["replica_nodes"]) for each in partitions), default=0),
        records=sum(ends[part] - begins[part] for part in parts),
        bytes=sizes.get(name),
    )
