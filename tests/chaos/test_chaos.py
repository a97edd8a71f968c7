"""Workers killed and frozen, and the broker killed, while 20,000 records go through: what each guarantee then keeps.

`python -m bench.chaos` does the same with 100,000 and other seeds.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from .harness import Setting, run
from .schedule import drawn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.deploy.kafka import Broker

    from .harness import Report
    from .schedule import Schedule

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("chaos"), pytest.mark.timeout(600)]

SEED, RECORDS = 1, 20_000
BAD = 313  # one in 64


@pytest.fixture
def schedule() -> Schedule:
    return drawn(SEED, RECORDS)


def told(report: Report) -> str:
    verdict = report.verdict
    return (
        f"{verdict.lost} lost, {verdict.doubled} doubled, {verdict.wrong} wrong, {verdict.disordered} out of order, "
        f"{verdict.dead_letters} dead letters, {report.aborted} aborted, {report.seconds:.0f} s"
    )


def test_exactly_once_is_exactly_once(
    mortal_broker: Broker, tmp_path: Path, schedule: Schedule, record_property: Callable[[str, object], None]
) -> None:
    report = run(mortal_broker, tmp_path, schedule, Setting("pipe", "exactly_once"))
    record_property("reported", told(report))
    verdict, why = report.verdict, f"{report}\n{schedule}"
    assert (verdict.lost, verdict.doubled, verdict.wrong, verdict.disordered) == (0, 0, 0, 0), why
    assert (verdict.results, verdict.dead_letters) == (RECORDS - BAD, BAD), why
    # A control: the kills did hit transactions that held records, and only read_committed keeps those from a reader.
    assert report.aborted > 0, why
    assert report.gave_up == 0, why
    assert set(report.exits) <= {0, -signal.SIGTERM}, why  # the second where it had not yet begun


def test_at_least_once_loses_none_and_shows_that_the_blows_are_hard(
    mortal_broker: Broker, tmp_path: Path, schedule: Schedule, record_property: Callable[[str, object], None]
) -> None:
    report = run(mortal_broker, tmp_path, schedule, Setting("pipe", "at_least_once"))
    record_property("reported", told(report))
    verdict, why = report.verdict, f"{report}\n{schedule}"
    assert (verdict.lost, verdict.wrong) == (0, 0), why
    # The control: under the same blows the weaker guarantee must show doubles, or the test above proves nothing.
    assert verdict.doubled > 0, why
    assert report.aborted == 0, why
    assert report.gave_up == 0, why
