"""Rounds in which the servers take turns: what disturbs the machine disturbs all of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench import load, trees
from bench.contenders import OURS, REFERENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.contenders import Contender
    from bench.load import Aim
    from bench.ways import Way
    from bench.works import Work

_WARM_UP_SECONDS = 1.0
_SLOW = 0.25  # an answer that takes this many seconds needs no warming up, and a longer round
_LEAST, _LONGEST = 4, 15.0  # answers that each caller of a slow server gets in a round, and the bound for that
_TRIES = 3  # of a round in which the machine did something else
_QUIET, _QUIET_STEPS = 0.1, 200  # seconds between looks whether a server still works on what nobody waits for


@dataclass(frozen=True, slots=True)
class Round:
    """One server at one work in one way, once.

    Attributes:
        rps: answers per second.
        server_cpu: seconds of CPU that the server's processes used, per second.
        client_cpu: the same of the load client.
        p50_ms: median time of an answer.
        p99_ms: what one answer in a hundred took longer than.
        pss_mb: memory of the server's processes afterwards.
    """

    rps: float
    server_cpu: float
    client_cpu: float
    p50_ms: float
    p99_ms: float
    pss_mb: float

    @property
    def per_core(self) -> float:
        """Answers per second of the server's CPU time."""
        return self.rps / self.server_cpu if self.server_cpu else 0.0


@dataclass(slots=True, eq=False)
class Cell:
    """One contender at one work in one way, and what was found.

    Attributes:
        contender: who.
        work: what.
        way: how.
        aim: for the load client.
        alone: seconds that an answer takes when nobody else asks.
        rounds: one for each turn.
        failure: why it has no more turns.
    """

    contender: Contender
    work: Work
    way: Way
    aim: Aim
    alone: float
    rounds: list[Round] = field(default_factory=list)
    failure: str = ""


def measure(
    cells: Sequence[Cell], *, rounds: int, seconds: float, prefix: Sequence[str], say: Callable[[str], None]
) -> None:
    """All rounds of all cells; one that fails has no more turns, and the others go on."""
    for number in range(rounds):
        for cell in cells:
            if cell.failure:
                continue
            try:
                # The others are far from these two; a shorter turn shows that as well.
                share = 1.0 if cell.contender.label in (OURS, REFERENCE) else 0.5
                _turn(cell, max(1.0, share * seconds), prefix, first=number == 0)
            except load.WrongAnswers as reason:
                cell.failure = str(reason) if trees.alive(cell.aim.server.group) else f"the server ended: {reason}"
                say(f"  {cell.contender.label} {cell.work.name} {cell.way} is given up: {cell.failure}")
        say(f"  round {number + 1} of {rounds} done")


def _turn(cell: Cell, seconds: float, prefix: Sequence[str], *, first: bool) -> None:
    if cell.alone > _SLOW:
        seconds = max(seconds, min(_LONGEST, _LEAST * cell.aim.callers * cell.alone))
    elif first:
        load.apply(cell.aim, _WARM_UP_SECONDS, prefix)
    for _ in range(_TRIES):
        if found := _round(cell.aim, seconds, prefix):
            cell.rounds.append(found)
            return
    raise load.WrongAnswers(f"{_TRIES} rounds without a single answer; is the machine busy?")


def _round(aim: Aim, seconds: float, prefix: Sequence[str]) -> Round | None:
    before = trees.cpu_seconds(aim.server.group)
    seen = load.apply(aim, seconds, prefix)
    used = trees.cpu_seconds(aim.server.group) - before
    _until_quiet(aim.server.group)
    memory = trees.memory_mb(aim.server.group)
    if not seen.requests or not used:
        return None
    rates = seen.requests / seen.seconds, used / seen.seconds, seen.client_cpu / seen.seconds
    return Round(*rates, seen.p50_ms, seen.p99_ms, memory)


def _until_quiet(group: int) -> None:
    """Wait while the server works on requests that were under way at the end, so that the next has its core."""
    for _ in range(_QUIET_STEPS):
        before = trees.cpu_seconds(group)
        time.sleep(_QUIET)
        if trees.cpu_seconds(group) - before <= _QUIET / 3:
            return
