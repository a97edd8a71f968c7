"""A record that cannot be processed, set aside: key, value and headers as they were, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .headers import (
    ATTEMPTS,
    MESSAGE,
    MODEL,
    OFFSET,
    ORIGINALS,
    PARTITION,
    REASON,
    STREAM,
    TIMESTAMP,
    TOPIC,
    VERSION,
)
from .records import Outgoing

if TYPE_CHECKING:
    from penstock.proto import PenstockError

    from .records import Headers, Record
    from .spec import Stream

_LONGEST_MESSAGE: Final = 1000  # a header is for reading, and a dead letter should fit where its record has fitted


def dead_letter(
    stream: Stream, record: Record, error: PenstockError, *, attempts: int, model: str, version: str
) -> Outgoing:
    """The dead letter of a record.

    Args:
        stream: its spec.
        record: as it was read.
        error: why; its code and message are safe to show.
        attempts: model calls that the record took part in; 0 where it could not even be read.
        model: that was last known to answer; empty where none was.
        version: of the model.
    """
    why: Headers = [
        (ORIGINALS, b"%d" % len(record.headers)),
        (REASON, error.code.encode()),
        (MESSAGE, error.message[:_LONGEST_MESSAGE].encode("utf-8", "replace")),
        (TOPIC, record.topic.encode()),
        (PARTITION, b"%d" % record.partition),
        (OFFSET, b"%d" % record.offset),
        (TIMESTAMP, b"%d" % record.timestamp),
        (ATTEMPTS, b"%d" % attempts),
        (STREAM, stream.name.encode()),
        (MODEL, model.encode()),
        (VERSION, version.encode()),
    ]
    return Outgoing(stream.dead_letter, record.key, record.value, [*record.headers, *why], record)
