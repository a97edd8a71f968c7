"""Which dead letters: by reason, time, key, stream or place, and whether they have been handled already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from penstock.proto import PayloadError
from penstock.streams.scan import Scan

from .ledger import read_ledger
from .letters import letter_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from penstock.streams.records import Record
    from penstock.streams.spec import Kafka

    from .ledger import Entry
    from .letters import Letter


@dataclass(frozen=True, slots=True)
class Filter:
    """What is wanted; what is not said is no condition.

    Attributes:
        reasons: codes, any of them.
        streams: names, any of them.
        keys: keys of the records, any of them.
        places: ``partition`` or ``partition/offset`` in the dead-letter topic, any of them.
        since: set aside at this time or later; milliseconds since 1970.
        until: set aside before this time.
        handled: whether letters that have been replayed or purged are wanted, too.
    """

    reasons: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    keys: tuple[bytes, ...] = ()
    places: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    handled: bool = False

    def wants(self, record: Record) -> bool:
        """Whether time, key and place of a record in the dead-letter topic are wanted."""
        return (
            (self.since is None or record.timestamp >= self.since)
            and (self.until is None or record.timestamp < self.until)
            and (not self.keys or record.key in self.keys)
            and (not self.places or bool({f"{record.partition}", _place(record)} & set(self.places)))
        )

    def wants_letter(self, letter: Letter) -> bool:
        """Whether its reason and stream are wanted."""
        return (not self.reasons or letter.reason in self.reasons) and (
            not self.streams or letter.stream in self.streams
        )


class Selected(NamedTuple):
    """A record of the dead-letter topic that is wanted.

    Attributes:
        record: as it is there.
        letter: the same, read; None where it is no dead letter of Penstock.
        entry: what has been done about it; None where nothing was.
    """

    record: Record
    letter: Letter | None
    entry: Entry | None

    @property
    def place(self) -> str:
        """Partition and offset in the dead-letter topic."""
        return _place(self.record)


def select(
    kafka: Kafka,
    topic: str,
    wanted: Filter,
    *,
    ledger: Mapping[str, Entry] | None = None,
    ends: Mapping[int, int] | None = None,
    told: Callable[[int, int], None] | None = None,
) -> Iterator[Selected]:
    """The records of a dead-letter topic that are wanted, each partition in order.

    Records that are no dead letters of Penstock come where neither a reason nor a stream is asked for.

    Args:
        kafka: the broker.
        topic: the dead letters.
        wanted: which ones.
        ledger: where it has been read already.
        ends: of each partition, where not all of it is to be read.
        told: gets offsets passed and offsets in all, now and then.

    Raises:
        PenstockError: the broker does not answer, or there is no such topic.
    """
    entries = read_ledger(kafka, topic) if ledger is None else ledger
    # The scan begins at the first record that is young enough; older ones may follow it, so `wants` looks again.
    with Scan(kafka, topic, since=wanted.since, ends=ends, told=told) as scan:
        for record in scan:
            entry = entries.get(_place(record))
            if entry and entry.written != record.timestamp:
                entry = None  # about a deleted topic of the same name
            if (entry and not wanted.handled) or not wanted.wants(record):
                continue
            letter = _letter(record)
            if wanted.wants_letter(letter) if letter else not (wanted.reasons or wanted.streams):
                yield Selected(record, letter, entry)


def _letter(record: Record) -> Letter | None:
    try:
        return letter_of(record)
    except PayloadError:
        return None


def _place(record: Record) -> str:
    return f"{record.partition}/{record.offset}"
