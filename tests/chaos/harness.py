"""One run: a stream with several workers, a paced input, and the blows of a schedule."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from confluent_kafka import KafkaException

from .crew import Crew, kill_broker
from .feed import Feed
from .questions import MODEL
from .topics import Topics, Watch, until
from .verdict import judge

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.deploy.kafka import Broker

    from .schedule import Schedule, Signal
    from .verdict import Verdict

SPEC = """
name = "{name}"
{engine}
[source]
topic = "{name}-in"
format = "ndarray"
features = "x"
[service]
model = "{model}"
[sink]
topic = "{name}-out"
format = "ndarray"
field = "answer"
[dead_letter]
topic = "{name}-dead"
[kafka]
bootstrap = "{address}"
session_timeout = 6
start_timeout = 120
"""
BARE = (sys.executable, "-m", "tests.chaos.bare_loop")
STREAM = (sys.executable, "-m", "penstock.cli", "stream", "run", "--interval", "1")

_PARTITIONS, _WORKERS = 12, 3
_TICK = 0.02
_STILL = 0.4  # seconds without a change until what is not committed must be the frozen worker's
_AHEAD = 10.0  # seconds of input that may wait: what piles up while the broker is away is done in no time
_HELD_BACK = 0.1  # of the records: so that the signals are given in the middle, however slow the machine is
_SLOWLY = 1 / 80  # of the rate, while a worker is awaited in the midst of writing that has not yet joined again, say
_PATIENCE = 180.0  # a killed broker was seen to need 100 s on a machine with other work


@dataclass(frozen=True, slots=True)
class Setting:
    """What is run.

    Attributes:
        engine: of the spec.
        guarantee: of the spec.
        rate: records a second.
        command: of a worker; the path of the spec is added.
    """

    engine: str = "pipe"
    guarantee: str = "exactly_once"
    rate: float = 400.0
    command: tuple[str, ...] = STREAM


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run.

    Attributes:
        verdict: of all that a reader with read_committed sees.
        uncommitted: outcomes that a reader with read_uncommitted sees.
        gave_up: workers that ended without being told to.
        exits: exit codes of the workers, stopped at the end.
        seconds: from the first record to the last commit.
    """

    verdict: Verdict
    uncommitted: int
    gave_up: int
    exits: tuple[int, ...]
    seconds: float

    @property
    def aborted(self) -> int:
        """Outcomes that only a reader with read_uncommitted sees."""
        return self.uncommitted - self.verdict.results - self.verdict.dead_letters


def run(broker: Broker, folder: Path, schedule: Schedule, setting: Setting) -> Report:
    """Run it.

    Raises:
        AssertionError: it did not come to its end; with the schedule, and the end of the workers' logs.
    """
    run = _Run(broker, folder, schedule, setting)
    try:
        return run.all()
    except (AssertionError, KafkaException) as error:
        logs = "\n".join(f"{log.name}:\n{log.read_text()[-3000:]}" for log in run.crew.logs)
        raise AssertionError(f"{error}\n{run.state()}\n{schedule}\n{logs}") from error
    finally:
        run.close()


class _Run:
    def __init__(self, broker: Broker, folder: Path, schedule: Schedule, setting: Setting) -> None:
        self._broker, self._schedule, self._setting = broker, schedule, setting
        name = f"chaos-{uuid4().hex[:8]}"
        self._topics = Topics(broker.address, name, _PARTITIONS)
        spec = write_spec(folder, name, broker.address, setting)
        self._cleanup = ExitStack()
        self.crew = Crew([*setting.command, str(spec)], _WORKERS, folder)
        self._cleanup.callback(self.crew.end)
        self._feed = Feed(broker.address, self._topics.source, schedule.records, setting.rate)
        self._watch = Watch(self._topics, self._feed)
        self._frozen: dict[int, float] = {}
        self._most = int(schedule.records * (1 - _HELD_BACK))

    def close(self) -> None:
        self._cleanup.close()

    def state(self) -> str:
        """Where it stands, for somebody who has to find out why it does not come to its end."""
        try:
            committed = str(self._topics.committed())
        except KafkaException as error:
            committed = str(error)
        return (
            f"{self._feed.delivered} written, {len(self._watch.seen)} with an outcome, committed {committed}, "
            f"frozen {sorted(self._frozen)}, {self.crew.gave_up} gave up"
        )

    def all(self) -> Report:
        until(lambda: all("ready" in log.read_text() for log in self.crew.logs), _PATIENCE, "workers ready")
        began = time.monotonic()
        for thread in (self._feed, self._watch):
            thread.start()
            self._cleanup.callback(thread.stop)
        self._strike()
        self._most = self._schedule.records
        until(self._done, _PATIENCE, "everything answered")
        seconds = time.monotonic() - began
        self._feed.check()
        exits = tuple(self.crew.stop())
        verdict = judge(self._schedule.records, self._topics.read(isolation="read_committed"))
        uncommitted = sum(1 for _ in self._topics.read(isolation="read_uncommitted"))
        return Report(verdict, uncommitted, self.crew.gave_up, exits, seconds)

    def _done(self) -> bool:
        self._tick()
        if self._feed.delivered < self._schedule.records:
            return False
        return sum(self._topics.committed().values()) == self._schedule.records and not self._frozen

    def _strike(self) -> None:
        last = time.monotonic()
        signals = self._schedule.signals
        for signal, following in zip(signals, [*(each.after for each in signals[1:]), self._most], strict=True):
            until(lambda s=signal, t=last: self._due(s, t), _PATIENCE, f"time for {signal}")  # type: ignore[misc]
            if signal.act == "kill the broker":
                kill_broker(self._broker)
            elif signal.midst:
                middle = (signal.after + following) // 2
                until(lambda s=signal, m=middle: self._hit_in_the_midst(s, m), _PATIENCE, f"a moment for {signal}")  # type: ignore[misc]
                self._feed.rate = self._setting.rate
            else:
                self.crew.freeze(signal.worker)
                self._finish(signal)
            last = time.monotonic()

    def _due(self, signal: Signal, last: float) -> bool:
        self._tick()
        return len(self._watch.seen) >= signal.after and time.monotonic() - last >= signal.at

    def _tick(self) -> None:
        self._feed.check()
        self._feed.allowed = min(self._most, len(self._watch.seen) + int(_AHEAD * self._setting.rate))
        self.crew.look_after()
        for worker, ends in list(self._frozen.items()):
            if time.monotonic() >= ends:
                self.crew.thaw(worker)
                del self._frozen[worker]

    def _hit_in_the_midst(self, signal: Signal, middle: int) -> bool:
        """Stop the worker; where something is written and stays uncommitted, it is the worker's, and the blow falls.

        From ``middle`` on, half-way to what comes next, the input comes slowly: else it were over before a worker that
        takes long to come back has any of it.
        """
        self._tick()
        if len(self._watch.seen) > middle:
            self._feed.rate = self._setting.rate * _SLOWLY
        if signal.worker in self._frozen:
            return False
        self.crew.freeze(signal.worker)
        if not self._holds_something():
            self.crew.thaw(signal.worker)
            return False
        self._finish(signal)
        return True

    def _holds_something(self) -> bool:
        try:
            time.sleep(_TICK)
            first = self._watch.in_doubt()
            ends = time.monotonic() + _STILL
            while first and time.monotonic() < ends:
                time.sleep(_TICK)
                first &= self._watch.in_doubt()
        except KafkaException:
            return False
        return bool(first)

    def _finish(self, signal: Signal) -> None:
        """Make of a frozen worker what the signal says."""
        if signal.act == "freeze":
            self._frozen[signal.worker] = time.monotonic() + signal.lasts
        else:
            self._frozen.pop(signal.worker, None)
            self.crew.kill(signal.worker)


def write_spec(folder: Path, name: str, address: str, setting: Setting) -> Path:
    """Write the spec of a stream whose topics are those of `Topics`, and its model."""
    model = folder / "model"
    model.mkdir(exist_ok=True)
    (model / "SeldonWrapper.py").write_text(MODEL)
    engine = f'engine = "{setting.engine}"\nguarantee = "{setting.guarantee}"'
    spec = folder / "stream.toml"
    spec.write_text(SPEC.format(name=name, engine=engine, model=model, address=address))
    return spec
