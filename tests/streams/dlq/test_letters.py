"""Dead letters as they are read, found and forgotten."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from penstock.proto import PayloadError, SetupError, Unavailable
from penstock.streams.dlq import Filter, letter_of, purge, replay, select
from penstock.streams.records import Record
from penstock.streams.spec import Kafka

if TYPE_CHECKING:
    from penstock.streams.records import Headers

    from .conftest import Letters

kafka = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]
WHY: Headers = [
    ("penstock-dlq-reason", b"MODEL_FAILED"),
    ("penstock-dlq-message", b"the model failed"),
    ("penstock-dlq-topic", b"in"),
    ("penstock-dlq-partition", b"2"),
    ("penstock-dlq-offset", b"31"),
    ("penstock-dlq-timestamp", b"1700000000000"),
    ("penstock-dlq-attempts", b"6"),
]


def record(headers: Headers) -> Record:
    return Record("dead", 0, 17, 1_700_000_100_000, b"k", b"v", headers)


def test_a_dead_letter_of_a_dead_letter() -> None:
    inner: Headers = [("a", None), ("penstock-dlq-original-headers", b"1"), ("penstock-dlq-reason", b"OLD")]
    letter = letter_of(record([*inner, ("penstock-dlq-original-headers", b"3"), *WHY]))
    assert letter.record == Record("in", 2, 31, 1_700_000_000_000, b"k", b"v", inner)
    assert (letter.place, letter.reason, letter.attempts) == ("0/17", "MODEL_FAILED", 6)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        WHY,
        [("penstock-dlq-original-headers", b"1"), *WHY],
        [("penstock-dlq-original-headers", b"0"), *WHY[1:]],
        [("penstock-dlq-original-headers", b"0"), *WHY[:3], ("penstock-dlq-partition", b"two"), *WHY[4:]],
    ],
)
def test_what_is_no_dead_letter(headers: Headers) -> None:
    with pytest.raises(PayloadError) as caught:
        letter_of(record(headers))
    assert caught.value.code == "NOT_A_DEAD_LETTER"


class TestFilters:
    pytestmark = kafka

    def test_each_of_them(self, letters: Letters) -> None:
        now = int(time.time() * 1000)
        letters.add(b"0", b"a", reason="INVALID_JSON", stream="one", partition=0, at=now - 3_600_000)
        letters.add(b"1", b"b", reason="MODEL_FAILED", stream="two", partition=0, at=now - 1_800_000)
        letters.add(b"2", b"b", reason="MODEL_FAILED", stream="one", partition=1, at=now - 60_000)
        # Its writer's clock is late: older than what stands before it.
        letters.add(b"3", None, reason="MODEL_INPUT", stream="two", partition=1, at=now - 1_800_000)
        letters.write(letters.dead, b"4", b"b", [], partition=2, at=now)
        letters.flush()
        for wanted, values in (
            (Filter(), "01234"),
            (Filter(reasons=("MODEL_FAILED", "MODEL_INPUT")), "123"),
            (Filter(streams=("one",)), "02"),
            (Filter(keys=(b"b",)), "124"),
            (Filter(since=now - 1_000_000), "24"),
            (Filter(until=now - 1_000_000), "013"),
            (Filter(since=now - 2_000_000, until=now - 1_000_000), "13"),
            (Filter(places=("1",)), "23"),
            (Filter(places=("0/1", "2")), "14"),
            (Filter(keys=(b"b",), streams=("one",), reasons=("MODEL_FAILED",)), "2"),
            (Filter(since=now + 60_000), ""),
        ):
            found = select(letters.kafka, letters.dead, wanted)
            assert "".join(sorted((each.record.value or b"").decode() for each in found)) == values, wanted

    def test_an_empty_topic_and_none(self, letters: Letters) -> None:
        assert list(select(letters.kafka, letters.dead, Filter())) == []
        with pytest.raises(SetupError) as caught:
            list(select(letters.kafka, f"{letters.name}-none", Filter()))
        assert caught.value.code == "NO_TOPIC"
        assert f"{letters.name}-none" not in letters.cluster.admin.list_topics()


def test_a_broker_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.streams.scan._ANSWER", 0.5)
    with pytest.raises(Unavailable, match="no Kafka broker answers"):
        list(select(Kafka(bootstrap="127.0.0.1:1"), "dead", Filter(), ledger={}))


class TestPurge:
    pytestmark = kafka

    def test_that_what_is_behind_an_unhandled_letter_stays(self, letters: Letters) -> None:
        for number in range(6):
            letters.add(b"%d" % number, reason="A" if number in (0, 1, 3) else "B")
        letters.flush()
        first = purge(letters.kafka, letters.dead, Filter(reasons=("A",)))
        assert (first.noted, first.deleted, first.left) == (3, 2, 1)
        assert [each.record.value for each in select(letters.kafka, letters.dead, Filter())] == [b"2", b"4", b"5"]
        assert replay(letters.kafka, letters.dead, Filter(reasons=("A",))).records == 0
        assert replay(letters.kafka, letters.dead, Filter(places=("0/2",))).records == 1
        second = purge(letters.kafka, letters.dead, None)
        assert (second.noted, second.deleted, second.left) == (0, 2, 0)
        assert [each.record.value for each in select(letters.kafka, letters.dead, Filter(handled=True))] == [b"4", b"5"]

    def test_all_and_again(self, letters: Letters) -> None:
        letters.write(letters.dead, b"from elsewhere", None, [], partition=1)
        for number in range(2500):
            letters.add(b"%d" % number, partition=number % 3)
        letters.flush()
        done = purge(letters.kafka, letters.dead, Filter())
        assert (done.noted, done.deleted, done.left) == (2501, 2501, 0)
        again = purge(letters.kafka, letters.dead, Filter())
        assert (again.noted, again.deleted, again.left) == (0, 0, 0)
        assert not list(select(letters.kafka, letters.dead, Filter(handled=True)))
        assert letters.replayed() == []
