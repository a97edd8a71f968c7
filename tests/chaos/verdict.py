"""What became of the records: lost, doubled, wrong, out of order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .questions import is_right

if TYPE_CHECKING:
    from collections.abc import Iterable


class Outcome(NamedTuple):
    """A result or a dead letter, as it was read."""

    number: int
    key: bytes | None
    value: bytes | None
    dead: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts over all records.

    Attributes:
        records: that were asked.
        results: in the sink.
        dead_letters: in the dead-letter topic.
        lost: records without an outcome.
        doubled: outcomes beyond the first of each record.
        wrong: outcomes that are not the right one for their record.
        disordered: outcomes behind one of a later record with the same key, in the same topic.
    """

    records: int
    results: int
    dead_letters: int
    lost: int
    doubled: int
    wrong: int
    disordered: int


def judge(records: int, outcomes: Iterable[Outcome]) -> Verdict:
    """Judge what was read; the outcomes of each partition are in its order.

    A dead letter has no place among the results, because it is in another topic: the order of a key holds in each of
    the two.
    """
    seen: Counter[int] = Counter()
    last: dict[tuple[bytes | None, bool], int] = {}
    wrong = disordered = dead_letters = 0
    for number, key, value, dead in outcomes:
        seen[number] += 1
        dead_letters += dead
        wrong += not is_right(number, key, value, dead=dead)
        disordered += number < last.get((key, dead), -1)
        last[key, dead] = number
    count = seen.total()
    lost = sum(number not in seen for number in range(records))
    return Verdict(records, count - dead_letters, dead_letters, lost, count - len(seen), wrong, disordered)
