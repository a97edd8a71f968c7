"""A record as it was read, and one that is to be written; the same for every engine."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

Headers: TypeAlias = "list[tuple[str, bytes | None]]"


class Record(NamedTuple):
    """A record of the source topic, byte for byte.

    Attributes:
        topic: where it was read.
        partition: number of the partition.
        offset: place in the partition.
        timestamp: milliseconds since 1970, as the producer or the broker has set it.
        key: None where it has none.
        value: None for a tombstone.
        headers: in order; a name may come several times.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Outgoing(NamedTuple):
    """A record to be written.

    Attributes:
        topic: where to.
        key: decides the partition, so that records with one key stay in order.
        value: None writes a tombstone.
        headers: in order.
        source: what it was made from; where there is no key, its partition decides.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    source: Record
