"""Dead letters written again as the records that they were made of: key, value and headers byte for byte.

1. **Take over**: a writer with the fixed transactional id of this dead-letter topic. An earlier replay that is still
   running, or was killed, can write nothing from here on; what it had begun is committed or aborted.
2. **Read the ledger**: what has been handled is not looked at again.
3. **Write** up to 500 records, and wait until the broker has given them their places.
4. **Note** them in the ledger.
5. **Commit** both in one transaction, and go on with 3.

Cut off before the end of 5, nothing of that transaction is there for a reader of committed records, and its letters
are as they were. After 5 they are in the ledger.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from time import time
from typing import TYPE_CHECKING, Any, Final

from penstock.proto import SetupError
from penstock.streams.headers import puid_of
from penstock.streams.records import Record

from .ledger import Entry, ensure_ledger, ledger_of, read_ledger
from .selection import select
from .transaction import LedgerWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from penstock.streams.spec import Kafka

    from .letters import Letter
    from .selection import Filter, Selected

_RECORDS: Final = 500  # in a transaction
_BYTES: Final = 8_000_000  # likewise: it has to be written and committed before the broker gives it up


@dataclass(slots=True)
class Replayed:
    """What a replay has done, or would do.

    Attributes:
        topics: records written, by topic.
        reasons: the same records, by the reason for which they had been set aside.
        foreign: records that are no dead letters of Penstock; they were left where they are.
    """

    topics: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    foreign: int = 0

    @property
    def records(self) -> int:
        """How many were written."""
        return self.topics.total()

    def _letters(self, chosen: Iterable[Selected]) -> Iterator[Letter]:
        for each in chosen:
            if each.letter is None:
                self.foreign += 1
            else:
                yield each.letter

    def _add(self, letters: Iterable[Letter], to: str) -> None:
        for letter in letters:
            self.topics[to or letter.record.topic] += 1
            self.reasons[letter.reason] += 1


def replay(
    kafka: Kafka,
    topic: str,
    wanted: Filter,
    *,
    to: str = "",
    dry_run: bool = False,
    told: Callable[[int, int], None] | None = None,
) -> Replayed:
    """Write the records of dead letters again, each one once, however often and wherever this is called.

    Args:
        kafka: the broker.
        topic: the dead letters.
        wanted: which ones; those that have been handled never are.
        to: where the records go; empty for the topic that each one comes from, and there its partition.
        dry_run: only counts.
        told: gets dead letters passed and dead letters in all, now and then.

    Raises:
        SetupError: a topic is not there. ServiceError: ``REPLAYED_ELSEWHERE``. PenstockError: the broker does not
            answer, or does not take a record; the transactions until then are done.
    """
    if to in (topic, ledger_of(topic)):
        raise SetupError(f"{to} has the dead letters, or what became of them; replay into another topic")
    wanted = replace(wanted, handled=False)
    done = Replayed()
    if dry_run:
        done._add(done._letters(select(kafka, topic, wanted, told=told)), to)
        return done
    ensure_ledger(kafka, topic)
    writer = LedgerWriter(kafka, topic)
    chosen = select(kafka, topic, wanted, ledger=read_ledger(kafka, topic), told=told)
    partitions: dict[str, int] = {}
    for letters in _packs(done._letters(chosen)):
        new = {to or letter.record.topic for letter in letters} - set(partitions)
        partitions |= _there(writer, kafka, new)
        _write(writer, letters, to, partitions)
        done._add(letters, to)
    return done


def _packs(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    """What goes into one transaction each."""
    pack: list[Letter] = []
    size = 0
    for letter in letters:
        pack.append(letter)
        size += len(letter.record.value or b"") + len(letter.record.key or b"")
        if len(pack) >= _RECORDS or size >= _BYTES:
            yield pack
            pack, size = [], 0
    if pack:
        yield pack


def _there(writer: LedgerWriter, kafka: Kafka, topics: set[str]) -> dict[str, int]:
    there = writer.partitions(topics) if topics else {}
    for topic in sorted(topics - set(there)):
        raise SetupError(f"there is no topic {topic!r} at {kafka.bootstrap} to replay into", code="NO_TOPIC")
    return there


def _write(writer: LedgerWriter, letters: list[Letter], to: str, partitions: dict[str, int]) -> None:
    sent: dict[str, Any] = {}
    with writer.transaction():
        for letter in letters:
            record = letter.record
            target = to or record.topic
            # Its old partition, because its producer may have another way than we to find one for a key.
            same = not to and record.partition < partitions[target]
            writer.send(
                target,
                record.value,
                record.key,
                record.headers,
                partition=record.partition if same else -1,
                sent=partial(sent.__setitem__, letter.place),
            )
        writer.flush()
        at = int(time() * 1000)
        writer.note({letter.place: _entry(letter, sent[letter.place], at) for letter in letters})


def _entry(letter: Letter, message: Any, at: int) -> Entry:
    source = letter.record
    written = Record(
        message.topic(), message.partition(), message.offset(), message.timestamp()[1], None, None, source.headers
    )
    return Entry("replayed", at, letter.written, place_of(source), puid_of(source), place_of(written), puid_of(written))


def place_of(record: Record) -> str:
    """Topic, partition and offset, as the ledger has them."""
    return f"{record.topic}/{record.partition}/{record.offset}"
