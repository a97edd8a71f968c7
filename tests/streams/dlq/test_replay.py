"""What a replay writes, against a real broker: the same bytes, each record once, whatever happens in between."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from penstock.proto import PenstockError, ServiceError, SetupError
from penstock.streams.dlq import Filter, read_ledger, replay, select
from penstock.streams.dlq.ledger import ensure_ledger
from penstock.streams.dlq.transaction import LedgerWriter

if TYPE_CHECKING:
    from penstock.streams.records import Headers

    from .conftest import Letters

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]

ALL = Filter()
RECORDS: list[tuple[bytes | None, bytes | None, Headers]] = [
    (None, b"[1]", []),
    (b"", b"", []),
    (b"k\xff\x00", b"\x00\xff", [("a", b"1"), ("a", None), ("a", b""), ("b", b"\xff")]),
    (b"gone", None, [("puid", b"p-1")]),
    (b"again", b"{", [("penstock-dlq-original-headers", b"0"), ("penstock-dlq-reason", b"OLD")]),
    ("schlüssel".encode(), b"x" * 500_000, [("traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")]),
]


def test_that_key_value_and_headers_are_the_same_bytes(letters: Letters) -> None:
    for number, (key, value, headers) in enumerate(RECORDS):
        letters.add(value, key, headers, partition=number % 3)
    letters.flush()
    done = replay(letters.kafka, letters.dead, ALL)
    assert (done.records, done.foreign) == (len(RECORDS), 0)
    expected = [RECORDS[number] for part in range(3) for number in range(part, len(RECORDS), 3)]
    assert letters.replayed() == expected


def test_that_a_second_time_adds_nothing(letters: Letters) -> None:
    for number in range(1200):  # three transactions
        letters.add(b"%d" % number, reason="MODEL_FAILED" if number % 3 else "INVALID_JSON", partition=number % 3)
    letters.flush()
    first = replay(letters.kafka, letters.dead, Filter(reasons=("INVALID_JSON",)))
    assert first.reasons == {"INVALID_JSON": 400}
    rest = replay(letters.kafka, letters.dead, ALL)
    assert rest.reasons == {"MODEL_FAILED": 800}
    assert replay(letters.kafka, letters.dead, ALL).records == 0
    values = [value or b"" for _, value, _ in letters.replayed()]
    assert sorted(values) == sorted(b"%d" % number for number in range(1200))
    letters.add(b"new")
    letters.flush()
    assert replay(letters.kafka, letters.dead, ALL).records == 1


def test_that_the_ledger_says_where_each_record_is(letters: Letters) -> None:
    old = letters.add(b"[", b"k", [("puid", b"p-7")], partition=2)
    letters.flush()
    replay(letters.kafka, letters.dead, ALL)
    ((place, entry),) = read_ledger(letters.kafka, letters.dead).items()
    assert place == "2/0"
    assert (entry.done, entry.puid, entry.to_puid) == ("replayed", "p-7", "p-7")
    assert (entry.source, entry.to) == (f"{old.topic}/2/{old.offset}", f"{letters.source}/2/0")
    assert [each.entry for each in select(letters.kafka, letters.dead, Filter(handled=True))] == [entry]
    assert not list(select(letters.kafka, letters.dead, ALL))


def test_another_topic_and_what_is_said_before(letters: Letters) -> None:
    letters.add(b"1", b"k")
    letters.add(b"2", b"k")
    letters.flush()
    other = letters.cluster.create(f"{letters.name}-other", 2)
    would = replay(letters.kafka, letters.dead, ALL, to=other, dry_run=True)
    assert would.topics == {other: 2}
    assert letters.replayed(other) == []
    assert replay(letters.kafka, letters.dead, ALL, to=other).topics == {other: 2}
    assert letters.replayed(other) == [(b"k", b"1", []), (b"k", b"2", [])]
    assert letters.replayed() == []
    assert replay(letters.kafka, letters.dead, ALL).records == 0, "handled is handled, wherever it went"


def test_what_is_refused(letters: Letters) -> None:
    letters.write(letters.dead, b"from elsewhere", b"k", [("x", b"y")])
    letters.add(b"1", source=f"{letters.name}-gone")
    letters.flush()
    for to, code in ((f"{letters.name}-missing", "NO_TOPIC"), ("", "NO_TOPIC"), (letters.dead, "SETUP")):
        with pytest.raises(SetupError) as caught:
            replay(letters.kafka, letters.dead, ALL, to=to)
        assert caught.value.code == code
    assert read_ledger(letters.kafka, letters.dead) == {}
    done = replay(letters.kafka, letters.dead, ALL, to=letters.source)
    assert (done.records, done.foreign) == (1, 1)


def test_a_record_that_the_broker_does_not_take(letters: Letters) -> None:
    letters.cluster.admin.create_topics(
        {
            f"{letters.name}-small": {
                "num_partitions": 1,
                "replication_factor": 1,
                "configs": {"max.message.bytes": 2000},
            }
        }
    )
    letters.add(b"small")
    letters.add(b"x" * 5000)
    letters.flush()
    with pytest.raises(PenstockError) as caught:
        replay(letters.kafka, letters.dead, ALL, to=f"{letters.name}-small")
    assert caught.value.code == "KAFKA_TOO_LARGE"
    assert letters.replayed(f"{letters.name}-small") == [], "all of the transaction, or nothing"
    assert replay(letters.kafka, letters.dead, ALL).records == 2


def test_an_entry_about_a_deleted_topic_of_the_same_name(letters: Letters) -> None:
    letters.add(b"old", at=1_700_000_000_000)
    letters.flush()
    assert replay(letters.kafka, letters.dead, ALL).records == 1
    letters.cluster.admin.delete_topics([letters.dead])
    until = time.monotonic() + 30
    while letters.dead in letters.cluster.admin.list_topics():
        assert time.monotonic() < until
        time.sleep(0.1)
    letters.cluster.create(letters.dead, 3)
    letters.add(b"new", at=1_700_000_000_500)
    letters.flush()
    assert replay(letters.kafka, letters.dead, ALL).records == 1


def test_that_the_later_of_two_shuts_the_earlier_one_out(letters: Letters) -> None:
    for number in range(3):
        letters.add(b"%d" % number)
    letters.flush()
    ensure_ledger(letters.kafka, letters.dead)
    earlier = LedgerWriter(letters.kafka, letters.dead)

    def go_on() -> None:
        with earlier.transaction():
            earlier.send(letters.source, b"from the earlier one", None, [])
            earlier.flush()
            assert replay(letters.kafka, letters.dead, ALL).records == 3

    with pytest.raises(ServiceError) as caught:
        go_on()
    assert caught.value.code == "REPLAYED_ELSEWHERE"
    assert "somebody else" in caught.value.message
    assert [value for _, value, _ in letters.replayed()] == [b"0", b"1", b"2"]


def test_two_at_once(letters: Letters) -> None:
    for number in range(3000):
        letters.add(b"%d" % number, partition=number % 3)
    letters.flush()
    written: list[int] = []

    def one() -> None:
        try:
            written.append(replay(letters.kafka, letters.dead, ALL).records)
        except ServiceError as error:
            assert error.code == "REPLAYED_ELSEWHERE"

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert written, "the last one to start is shut out by nobody"
    values = [value or b"" for _, value, _ in letters.replayed()]
    assert sorted(values) == sorted(b"%d" % number for number in range(3000))


SCRIPT = """
import os, signal, sys
from penstock.streams.dlq import Filter, replay
from penstock.streams.dlq.transaction import LedgerWriter
from penstock.streams.spec import Kafka
send, left = LedgerWriter.send, int(sys.argv[3])
def counted(*arguments, **named):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    send(*arguments, **named)
LedgerWriter.send = counted
replay(Kafka(bootstrap=sys.argv[1]), sys.argv[2], Filter())
"""


# A transaction has 500 records, which the broker has when the first of 500 entries in the ledger is written.
@pytest.mark.parametrize("written", [1, 501, 999, 1700])
def test_that_a_kill_in_the_middle_doubles_and_loses_nothing(letters: Letters, written: int) -> None:
    for number in range(2500):
        letters.add(b"%d" % number, partition=number % 3)
    letters.flush()
    command = [sys.executable, "-c", SCRIPT, letters.cluster.address, letters.dead, str(written)]
    assert subprocess.run(command, timeout=120, check=False).returncode == -signal.SIGKILL
    replay(letters.kafka, letters.dead, ALL)
    values = [value or b"" for _, value, _ in letters.replayed()]
    assert sorted(values) == sorted(b"%d" % number for number in range(2500))
