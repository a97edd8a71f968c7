"""Look for a puid in the topics of streams.

1. **Ledgers** first: a record that brings no puid of its own has another one where a replay has written it again. All
   that are joined that way are looked for.
2. Then every topic, once, from a time on or from its beginning.

A record is found by its puid, its trace id, or the puid of the call that it was part of.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.proto import PayloadError, SetupError
from penstock.proto.trace_context import TRACEPARENT
from penstock.streams.dlq import letter_of, read_ledger
from penstock.streams.dlq.ledger import ledger_of
from penstock.streams.headers import CALL, ORIGINALS, puid_of
from penstock.streams.scan import Scan

from .events import Event, Looked, Step, event_of_entry, events_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from penstock.streams.dlq import Entry
    from penstock.streams.records import Record
    from penstock.streams.spec import Kafka, Stream


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look.

    Attributes:
        kafka: the broker.
        topics: any that have records, results or dead letters.
        dead_letters: those of them whose ledgers are looked at, too.
    """

    kafka: Kafka
    topics: tuple[str, ...]
    dead_letters: tuple[str, ...] = ()

    @classmethod
    def of(cls, kafka: Kafka, streams: Iterable[Stream], more: Sequence[str] = ()) -> Places:
        """The topics of streams, and more."""
        streams = list(streams)
        topics = [topic for each in streams for topic in (each.source.topic, each.sink.topic, each.dead_letter)]
        dead = [each.dead_letter for each in streams]
        return cls(kafka, tuple(dict.fromkeys([*topics, *more])), tuple(dict.fromkeys([*dead, *more])))


@dataclass(slots=True)
class Story:
    """What was found.

    Attributes:
        events: in the order of time.
        puids: all under which it was looked for.
        looked: how far, for each topic.
    """

    events: list[Event] = field(default_factory=list)
    puids: set[str] = field(default_factory=set)
    looked: list[Looked] = field(default_factory=list)


def trace(
    wanted: str,
    places: Places,
    *,
    since: int | None = None,
    told: Callable[[str, int, int], None] | None = None,
) -> Story:
    """Find what became of a record.

    Args:
        wanted: its puid, its trace id, or the puid of a call.
        places: where to look.
        since: milliseconds since 1970; what is older is not looked at.
        told: gets the topic, offsets passed and offsets in all, now and then.

    Raises:
        PenstockError: no broker answers, or it refuses. Topics that are not there are passed over.
    """
    ledgers = {topic: read_ledger(places.kafka, topic) for topic in places.dead_letters}
    story = Story(puids=_joined(wanted, [entry for each in ledgers.values() for entry in each.values()]))
    for topic in places.topics:
        _look(story, wanted, places.kafka, topic, since, told)
    # Asked for a trace or a call, the puids of its records are known only now.
    puids = story.puids | {event.puid for event in story.events}
    for topic, entries in ledgers.items():
        for letter, entry in entries.items():
            if {entry.puid, entry.to_puid} & puids:
                story.events.append(event_of_entry(entry, ledger_of(topic), f"{topic}/{letter}"))
    steps = list(Step)
    story.events.sort(key=lambda event: (event.at, steps.index(event.step)))
    return story


def _joined(wanted: str, entries: Sequence[Entry]) -> set[str]:
    puids = {wanted}
    before = 0
    while len(puids) > before:
        before = len(puids)
        for entry in entries:
            pair = {entry.puid, entry.to_puid}
            if pair & puids:
                puids |= pair
    return puids - {""}


def _look(
    story: Story,
    wanted: str,
    kafka: Kafka,
    topic: str,
    since: int | None,
    told: Callable[[str, int, int], None] | None,
) -> None:
    try:
        scan = Scan(kafka, topic, since=since, told=(lambda done, total: told(topic, done, total)) if told else None)
    except SetupError as error:
        if error.code != "NO_TOPIC":
            raise
        return
    records, first = 0, None
    with scan:
        for record in scan:
            records += 1
            first = record.timestamp if first is None else min(first, record.timestamp)
            puid = _found(record, wanted.encode(), story.puids)
            if puid:
                _add(story, events_of(record, puid))
        whole = all(span.first <= span.kept for span in scan.spans)
    story.looked.append(Looked(topic, records, first, whole))


def _add(story: Story, events: list[Event]) -> None:
    """Add what a record tells; a call for many records is one step, however many results name it."""
    calls = {each.told.get("call") for each in story.events if each.step is Step.CALL}
    story.events += [
        each for each in events if each.step is not Step.CALL or each.told.get("call") not in calls - {None}
    ]


def _found(record: Record, wanted: bytes, puids: set[str]) -> str:
    """The puid of a record that belongs to the story; empty for all others."""
    puid = _puid(record)
    joined = puid in puids or any(
        value and ((name == CALL and value == wanted) or (name.lower() == TRACEPARENT and value[3:35] == wanted))
        for name, value in record.headers
    )
    return puid if joined else ""


def _puid(record: Record) -> str:
    """Of a dead letter, that of the record that it is made of."""
    with suppress(PayloadError):
        if any(name == ORIGINALS for name, _ in record.headers):
            return puid_of(letter_of(record).record)
    return puid_of(record)
