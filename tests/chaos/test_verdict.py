"""The judge itself: it must see what the runs are to show."""

from __future__ import annotations

from collections import Counter

import pytest

from .questions import is_bad, key_of, value_of
from .schedule import drawn
from .verdict import Outcome, judge

RECORDS = 2000


def outcome(number: int) -> Outcome:
    bad = is_bad(number)
    value = value_of(number)
    if not bad:
        value = value[:-1] + b', "answer": [%d.0]}' % (2 * number - number % 7)
    return Outcome(number, key_of(number), value, bad)


@pytest.fixture
def perfect() -> list[Outcome]:
    return [outcome(number) for number in range(RECORDS)]


def test_a_perfect_run(perfect: list[Outcome]) -> None:
    verdict = judge(RECORDS, perfect)
    assert (verdict.results, verdict.dead_letters) == (RECORDS - 31, 31)
    assert (verdict.lost, verdict.doubled, verdict.wrong, verdict.disordered) == (0, 0, 0, 0)


def test_what_is_missing_is_lost(perfect: list[Outcome]) -> None:
    assert judge(RECORDS, perfect[:700] + perfect[702:]).lost == 2


def test_what_comes_again_is_doubled_and_out_of_order(perfect: list[Outcome]) -> None:
    verdict = judge(RECORDS, [*perfect, perfect[5]])
    assert (verdict.doubled, verdict.disordered) == (1, 1)


def test_an_answer_to_another_question_is_wrong(perfect: list[Outcome]) -> None:
    changed = [perfect[0]._replace(value=perfect[1].value), perfect[1]._replace(key=key_of(2)), *perfect[2:]]
    assert judge(RECORDS, changed).wrong == 2


def test_a_good_record_among_the_dead_letters_is_wrong(perfect: list[Outcome]) -> None:
    assert judge(RECORDS, [perfect[0]._replace(dead=True), *perfect[1:]]).wrong == 1


def test_two_of_one_key_in_exchanged_places_are_out_of_order(perfect: list[Outcome]) -> None:
    first, second = [number for number in range(RECORDS) if key_of(number) == key_of(0)][:2]
    perfect[first], perfect[second] = perfect[second], perfect[first]
    assert judge(RECORDS, perfect).disordered == 1


def test_a_seed_gives_the_same_schedule_again_and_every_kind_of_blow() -> None:
    for seed in range(50):
        schedule = drawn(seed, RECORDS)
        assert schedule == drawn(seed, RECORDS)
        kinds = Counter((signal.act, signal.midst) for signal in schedule.signals)
        assert {("kill", True), ("freeze", True), ("kill the broker", False)} <= set(kinds)
        after = [signal.after for signal in schedule.signals]
        assert after == sorted(after)
        assert after[-1] < RECORDS * 0.9
