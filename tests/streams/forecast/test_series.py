"""What a reading does to the memory of its series, without Kafka."""

from __future__ import annotations

import random

import pytest

from penstock.proto import PayloadError
from penstock.streams.forecast.readings import Reading
from penstock.streams.forecast.series import Series, advanced, passed_over, was_read
from penstock.streams.records import Record

KNOWN = Series(2, 10, 100.0, (0.5, 0.25), 0.125)


def record(offset: int, partition: int = 2) -> Record:
    return Record("t", partition, offset, 0, None, b"", [])


def reading(moment: float) -> Reading:
    return Reading("a", "b", moment, moment, 1.0)


def test_the_newest_value_comes_first_and_six_are_kept() -> None:
    series = None
    for number in range(9):
        series = advanced(series, record(number), reading(number), number / 8)
    assert series == Series(2, 8, 8, (1.0, 0.875, 0.75, 0.625, 0.5, 0.375))


def test_a_second_reading_of_the_same_time_is_taken() -> None:
    assert advanced(KNOWN, record(11), reading(100), 1.0).values == (1.0, 0.5, 0.25)


def test_a_late_reading_is_refused_and_looked_at_once() -> None:
    with pytest.raises(PayloadError, match=r"older than the one before it in a/b \(99 after 100") as error:
        advanced(KNOWN, record(11), reading(99), 1.0)
    assert error.value.code == "LATE_READING"
    after = passed_over(KNOWN, record(11))
    assert after == Series(2, 11, 100.0, (0.5, 0.25), 0.125)
    assert was_read(after, record(11), reading(99))


def test_a_series_in_two_partitions_is_refused() -> None:
    with pytest.raises(
        PayloadError, match="is in partition 2, and this reading in 0; write readings with the"
    ) as error:
        advanced(KNOWN, record(11, 0), reading(101), 1.0)
    assert error.value.code == "WRONG_PARTITION"
    assert passed_over(KNOWN, record(11, 0)) is KNOWN


@pytest.mark.parametrize(
    ("offset", "moment", "was"),
    [
        (10, 100, True),  # read twice
        (7, 97, True),
        (11, 100, False),
        (0, 101, False),  # the topic was made anew
    ],
)
def test_what_was_read_before_is_known_by_offset_and_time(offset: int, moment: float, was: bool) -> None:
    assert was_read(KNOWN, record(offset), reading(moment)) is was
    assert not was_read(None, record(offset), reading(moment))


def test_floats_come_back_to_the_last_bit() -> None:
    numbers = random.Random(7)
    for _ in range(500):
        values = tuple(numbers.uniform(-1, 1) * 10 ** numbers.randint(-12, 12) for _ in range(6))
        series = Series(0, 2**60 + 1, 1492474049000000001, values, values[0] / 3)
        assert Series.loaded(series.dumped()) == series
    assert Series.loaded(KNOWN.dumped()) == KNOWN
