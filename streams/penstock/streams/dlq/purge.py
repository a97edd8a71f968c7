"""Dead letters that nobody wants any more: noted in the ledger, and deleted where the broker can.

1. **Take over** and **read the ledger**, as a replay does.
2. **Note** the letters that are wanted in the ledger as purged, in transactions.
3. **Delete** the leading part of each partition in which all letters have been handled. Kafka deletes from the front
   only: a handled letter behind one that is not stays until that one is handled, too, and is not listed meanwhile.

Cut off before 3, the letters are noted, and the next purge deletes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from time import time
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from penstock.streams.headers import puid_of
from penstock.streams.librdkafka import in_our_words, librdkafka_settings
from penstock.streams.scan import Scan

from .ledger import Entry, ensure_ledger, read_ledger
from .replay import place_of
from .selection import select
from .transaction import LedgerWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.streams.spec import Kafka

    from .selection import Filter, Selected

_ENTRIES: Final = 1000  # in a transaction
_ANSWER: Final = 30.0  # seconds for the broker to delete


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge has done.

    Attributes:
        noted: letters that were not handled and now count as purged.
        deleted: letters that the broker has deleted.
        left: letters that have been handled, and stay behind one that has not.
    """

    noted: int
    deleted: int
    left: int


def purge(kafka: Kafka, topic: str, wanted: Filter | None, *, told: Callable[[int, int], None] | None = None) -> Purged:
    """Forget dead letters.

    Args:
        kafka: the broker.
        topic: the dead letters.
        wanted: which ones; None only deletes those that have been handled already.
        told: gets dead letters passed and dead letters in all, now and then.

    Raises:
        ServiceError: ``REPLAYED_ELSEWHERE``. PenstockError: the broker does not answer, or refuses.
    """
    ensure_ledger(kafka, topic)
    writer = LedgerWriter(kafka, topic)
    ledger = read_ledger(kafka, topic)
    noted = 0
    if wanted is not None:
        chosen = (each for each in select(kafka, topic, wanted, ledger=ledger, told=told) if each.entry is None)
        at = int(time() * 1000)
        while some := list(islice(chosen, _ENTRIES)):
            entries = {each.place: _entry(each, at) for each in some}
            with writer.transaction():
                writer.note(entries)
            ledger |= entries
            noted += len(entries)
    fronts, deleted, left = _fronts(kafka, topic, ledger)
    _delete(kafka, topic, fronts)
    return Purged(noted, deleted, left)


def _entry(chosen: Selected, at: int) -> Entry:
    if chosen.letter is None:
        return Entry("purged", at, chosen.record.timestamp)
    source = chosen.letter.record
    return Entry("purged", at, chosen.letter.written, place_of(source), puid_of(source))


def _fronts(kafka: Kafka, topic: str, ledger: Mapping[str, Entry]) -> tuple[dict[int, int], int, int]:
    """The offset of each partition up to which it can be deleted; letters before them, and handled ones behind them."""
    with Scan(kafka, topic) as scan:
        fronts = {span.partition: span.end for span in scan.spans if span.end > span.kept}
        stopped: set[int] = set()
        before = behind = 0
        for record in scan:
            entry = ledger.get(f"{record.partition}/{record.offset}")
            handled = entry is not None and entry.written == record.timestamp
            if not handled and record.partition not in stopped:
                stopped.add(record.partition)
                fronts[record.partition] = record.offset
            before += handled and record.partition not in stopped
            behind += handled and record.partition in stopped
    return fronts, before, behind


def _delete(kafka: Kafka, topic: str, fronts: Mapping[int, int]) -> None:
    if not fronts:
        return
    wanted = [TopicPartition(topic, partition, offset) for partition, offset in fronts.items()]
    admin = AdminClient(librdkafka_settings(kafka))
    try:
        for answer in admin.delete_records(wanted, request_timeout=_ANSWER).values():
            answer.result()
    except KafkaException as error:
        raise in_our_words(error, kafka) from None
