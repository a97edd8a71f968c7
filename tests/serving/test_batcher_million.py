"""A million tagged calls through the batcher, with cancels, late ones and failing rows: every answer is its question's.

What a call asks is its own number, and the model answers with that number turned around; so an answer that went to
another call, or to nobody, shows. The calls come in waves of up to a thousand, from nobody's point of view in order.
``PENSTOCK_BATCHER_CALLS`` makes it more or fewer than a million.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from penstock.proto import DeadlineExceeded, ModelInputError
from penstock.serving import Settings
from penstock.serving.batcher import Batcher
from penstock.serving.metrics import Metrics
from penstock.serving.models import Answer, Work
from penstock.serving.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

CALLS = int(os.environ.get("PENSTOCK_BATCHER_CALLS", "1000000"))
WAVE = 1000
LONG, NEVER = 600.0, 1e-9
SEED = 6
# Of a thousand calls so many fail, are cancelled, are late before they are asked, and yield to the event loop.
FAIL, CANCEL, LATE, YIELD = 5, 20, 5, 10


class Question(NamedTuple):
    """What one row asks."""

    tag: int
    fails: bool


def turned(tag: int) -> int:
    """What the model makes of a tag: no two give the same."""
    return tag ^ 0x5A5A5A5A


class Model:
    """Answers each question; a run with one that fails fails as a whole, as a model's does."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, works: Sequence[Work]) -> list[Answer]:
        self.runs += 1
        assert len({work.key for work in works}) == 1
        for work in works:
            if work.value.fails:
                raise ModelInputError(f"tag {work.value.tag}")
        return [Answer(turned(work.value.tag)) for work in works]


class Fates:
    """How many calls came to which end."""

    def __init__(self) -> None:
        self.answered = self.failed = self.cancelled = self.late = 0

    @property
    def all(self) -> int:
        return self.answered + self.failed + self.cancelled + self.late


@pytest.mark.parametrize("inline", [True, False], ids=["in the event loop", "in the thread"])
async def test_every_answer_belongs_to_its_question(*, inline: bool) -> None:
    worker, model, fates = Worker("test"), Model(), Fates()
    settings = Settings(Path("m"), max_batch=64, max_queue=4 * WAVE, grpc_engine="penstock")
    batcher = Batcher(model, settings, worker, Metrics("m"), inline=inline)
    chance = random.Random(SEED)
    calls = CALLS // 2
    try:
        for first in range(0, calls, WAVE):
            await _wave(batcher, chance, range(first, min(first + WAVE, calls)), fates)
    finally:
        worker.stop()
    assert fates.all == calls
    assert batcher.pending == batcher.rows == 0
    for count, share in ((fates.failed, FAIL), (fates.cancelled, CANCEL), (fates.late, LATE)):
        assert 0.5 * share * calls / 1000 < count < 1.5 * share * calls / 1000
    assert model.runs < calls / 2, "requests shared no runs"


async def _wave(batcher: Batcher, chance: random.Random, tags: range, fates: Fates) -> None:
    asked: list[tuple[Question, asyncio.Future[Answer]]] = []
    cancelled: set[int] = set()
    late: set[int] = set()
    for tag in tags:
        lot = chance.randrange(1000)
        question = Question(tag, lot < FAIL)
        seconds = LONG
        if 500 <= lot < 500 + LATE:
            seconds = NEVER
            late.add(tag)
        # Two keys take turns in runs; every third call asks two rows.
        future = batcher.submit(Work(question, tag & 1, 1 + (tag % 3 == 0), 1), seconds)
        asked.append((question, future))
        if lot >= 1000 - CANCEL:
            _cancel_one(asked, chance, cancelled)
        elif lot >= 1000 - CANCEL - YIELD:
            await asyncio.sleep(0)
    for question, future in asked:
        _count(question, await _end(future), fates, cancelled, late)


def _cancel_one(
    asked: list[tuple[Question, asyncio.Future[Answer]]], chance: random.Random, cancelled: set[int]
) -> None:
    """One of those that were asked before: it may wait, run, or have its answer already."""
    question, future = chance.choice(asked[-WAVE // 10 :])
    if future.cancel():
        cancelled.add(question.tag)


async def _end(future: asyncio.Future[Answer]) -> Answer | BaseException:
    try:
        return await future
    except asyncio.CancelledError as error:
        return error
    except (ModelInputError, DeadlineExceeded) as error:
        return error


def _count(question: Question, end: Answer | BaseException, fates: Fates, cancelled: set[int], late: set[int]) -> None:
    """Hold what came against what was asked."""
    if question.tag in cancelled:
        assert isinstance(end, asyncio.CancelledError)
        fates.cancelled += 1
    elif isinstance(end, DeadlineExceeded):
        assert question.tag in late
        fates.late += 1
    elif question.fails:
        assert isinstance(end, ModelInputError)
        assert end.message == f"tag {question.tag}"
        fates.failed += 1
    else:
        assert isinstance(end, Answer), end
        assert end.value == turned(question.tag)
        if question.tag in late:
            fates.late += 1  # it ran before the clock ticked
        else:
            fates.answered += 1
