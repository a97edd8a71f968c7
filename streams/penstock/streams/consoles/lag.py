"""How far the consumer groups are behind the topics that they read."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final, cast

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition  # type: ignore[import-untyped]  # it has no types
from kafka.errors import (  # type: ignore[import-untyped]  # it has no types
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    NotCoordinatorError,
)

from .client import client

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.streams.spec import Kafka

# What a broker says of a group until it has made room for the first one that it ever has, or taken over another's.
_NOT_YET: Final = (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError)
_ROOM: Final = 15.0  # seconds for that


@dataclass(frozen=True, slots=True)
class Lag:
    """One partition and one group.

    Attributes:
        group: the consumer group.
        topic: that it reads.
        partition: number of the partition.
        committed: offset of the next record that the group reads; None where it has not committed one.
        end: offset behind the last record.
        lag: offsets that are left: records, and the marks of transactions; all there is where nothing is committed.
    """

    group: str
    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int


def lags(kafka: Kafka, groups: Sequence[str] = (), *, topic: str = "") -> list[Lag]:
    """How far groups are behind, by group, topic and partition.

    Args:
        kafka: the broker.
        groups: their names; all that there are where none is named.
        topic: only this one, with its partitions that the groups have not committed, too.

    Raises:
        PenstockError: no broker answers, or it refuses.
    """
    with client(KafkaAdminClient, kafka) as admin, client(KafkaConsumer, kafka, group_id=None) as consumer:
        wanted = list(groups) or [each["group_id"] for each in admin.list_groups()]
        committed = _committed(admin, wanted) if wanted else {}
        pairs = {(group, part) for group in wanted for part in committed.get(group, {}) if topic in ("", part.topic)}
        if topic:
            numbers = consumer.partitions_for_topic(topic) or ()
            pairs |= {(group, TopicPartition(topic, number)) for group in wanted for number in numbers}
        parts = sorted({part for _, part in pairs} & _there(admin, pairs))
        begins, ends = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
    found = []
    for group, part in sorted(pairs):
        if part in ends:
            told = committed.get(group, {}).get(part)
            at = told.offset if told is not None and told.offset >= 0 else None
            left = max(0, ends[part] - max(begins[part], begins[part] if at is None else at))
            found.append(Lag(group, part.topic, part.partition, at, ends[part], left))
    return found


def _committed(admin: Any, groups: Sequence[str]) -> dict[str, dict[Any, Any]]:
    """The places of each group."""
    until = monotonic() + _ROOM
    while True:
        try:
            return cast("dict[str, dict[Any, Any]]", admin.list_group_offsets(dict.fromkeys(groups)))
        except _NOT_YET:
            if monotonic() > until:
                raise
            sleep(0.1)


def _there(admin: Any, pairs: set[tuple[str, Any]]) -> set[Any]:
    """The partitions among them that there still are: offsets outlive their topic."""
    names = sorted({part.topic for _, part in pairs} & set(admin.list_topics()))
    told = admin.describe_topics(names) if names else []
    return {TopicPartition(each["name"], part["partition_index"]) for each in told for part in each["partitions"]}
