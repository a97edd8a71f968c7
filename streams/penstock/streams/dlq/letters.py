"""A dead letter, read: the record that it was made of, byte for byte, and why it was set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from penstock.proto import PayloadError
from penstock.streams.headers import (
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
from penstock.streams.records import Record

if TYPE_CHECKING:
    from penstock.streams.records import Headers


class Letter(NamedTuple):
    """A dead letter.

    Attributes:
        partition: where it is in the dead-letter topic.
        offset: likewise.
        written: when it was set aside; milliseconds since 1970.
        record: the original, with the place that it had in the source topic.
        reason: stable code of the error.
        message: the same for a person.
        attempts: model calls that it took part in.
        stream: that gave up.
        model: that was last known to answer; empty where none was.
        version: of the model.
    """

    partition: int
    offset: int
    written: int
    record: Record
    reason: str
    message: str
    attempts: int
    stream: str
    model: str
    version: str

    @property
    def place(self) -> str:
        """Partition and offset in the dead-letter topic: ``0/17``."""
        return f"{self.partition}/{self.offset}"


def letter_of(record: Record) -> Letter:
    """Read a record of a dead-letter topic.

    Raises:
        PayloadError: ``NOT_A_DEAD_LETTER``; without the headers of a stream nobody knows where it was.
    """
    originals = _originals(record.headers)
    told = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers[originals:]}
    try:
        partition, offset, timestamp, attempts = (int(told[name]) for name in (PARTITION, OFFSET, TIMESTAMP, ATTEMPTS))
        reason, topic = told[REASON], told[TOPIC]
    except (KeyError, ValueError):
        raise _foreign(record) from None
    return Letter(
        partition=record.partition,
        offset=record.offset,
        written=record.timestamp,
        record=Record(topic, partition, offset, timestamp, record.key, record.value, record.headers[:originals]),
        reason=reason,
        message=told.get(MESSAGE, ""),
        attempts=attempts,
        stream=told.get(STREAM, ""),
        model=told.get(MODEL, ""),
        version=told.get(VERSION, ""),
    )


def _originals(headers: Headers) -> int:
    # The last one: a stream that reads a dead-letter topic sets records aside that have such headers already.
    for index in range(len(headers) - 1, -1, -1):
        if headers[index] == (ORIGINALS, b"%d" % index):
            return index
    return len(headers)


def _foreign(record: Record) -> PayloadError:
    return PayloadError(
        f"{record.topic} {record.partition}/{record.offset} has no headers of a dead letter of Penstock",
        code="NOT_A_DEAD_LETTER",
    )
