"""Which signals a run gets, and when: data, drawn from a seed, so that a run that failed can be run again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, TypeAlias

Act: TypeAlias = Literal["kill", "freeze", "kill the broker"]

_FIRST, _LAST = 0.08, 0.85  # of the records: signals are given between these
_FREEZE = 10.0  # seconds; longer than the session time-out of the workers, which is 6


@dataclass(frozen=True, slots=True)
class Signal:
    """One blow.

    Attributes:
        act: ``kill``: SIGKILL of a worker, which is started again; ``freeze``: SIGSTOP, and SIGCONT when the group has
            given its partitions to others; ``kill the broker``: SIGKILL, and started again with its data.
        after: given when so many records have an outcome,
        at: and so many seconds after the signal before it.
        worker: whom it hits.
        midst: wait for a moment in which the worker has written something that it has not committed.
        lasts: seconds until SIGCONT.
    """

    act: Act
    after: int
    at: float = 0.0
    worker: int = 0
    midst: bool = False
    lasts: float = 0.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """The blows of a run, in order; its text is Python again."""

    seed: int
    records: int
    signals: tuple[Signal, ...]

    def __str__(self) -> str:
        lines = "".join(f"\n    {signal}," for signal in self.signals)
        return f"seed {self.seed}, {self.records} records:{lines}"


def drawn(seed: int, records: int, *, signals: int = 5, workers: int = 3) -> Schedule:
    """A schedule with at least one kill and one freeze in the midst of writing, and one kill of the broker."""
    dice = random.Random(seed)
    acts: list[tuple[Act, bool]] = [("kill", True), ("freeze", True), ("kill the broker", False)]
    others: list[Act] = ["kill", "kill", "freeze"]
    acts += [(dice.choice(others), dice.random() < 0.5) for _ in range(signals - len(acts))]
    dice.shuffle(acts)
    step = (_LAST - _FIRST) / len(acts)
    blows = []
    for place, (act, midst) in enumerate(acts):
        after = int(records * (_FIRST + step * (place + dice.random() * 0.8)))
        lasts = _FREEZE if act == "freeze" else 0.0
        blows.append(Signal(act, after, worker=dice.randrange(workers), midst=midst, lasts=lasts))
    return Schedule(seed, records, tuple(blows))
