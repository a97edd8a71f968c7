"""The answers to a batch of payloads: few calls where all is well, and one bad payload fails alone.

A failed call is followed by what `fates.fate` says: halving until the bad payload is alone (`_settle`), waiting, or the
end of the stream (`_try`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from penstock.proto import Overloaded, PenstockError, ServiceError

from .calls import Answer
from .fates import Fate, fate
from .patience import BackOff
from .room import Room
from .stacking import groups, rows_of, split, stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.proto import Payload

    from .calls import Caller
    from .metrics import Metrics
    from .patience import Patience
    from .spec import Stream

_DOUBTS: Final = 3  # tries of a single payload before another one is asked to find out whether the service works


@dataclass(slots=True)
class Question:
    """One payload, and what came of it.

    Attributes:
        payload: what is asked.
        puid: of the record; it goes with the call where the record has a call of its own.
        answer: the prediction; None until there is one.
        error: why there is none.
        attempts: calls that it took part in.
        seconds: from the start of the batch to the outcome.
    """

    payload: Payload
    puid: str
    answer: Answer | None = None
    error: PenstockError | None = None
    attempts: int = 0
    seconds: float = 0.0


class Asker:
    """Asks one model."""

    def __init__(self, stream: Stream, caller: Caller, patience: Patience, metrics: Metrics) -> None:
        self._caller = caller
        self._metrics = metrics
        self._most_rows = stream.batch.rows
        self._room = Room(stream.service.concurrency, stream.batch.rows)
        self._back_off = BackOff(patience, stream.service.address or "the model")
        self._row_by_row = True
        self._proof: Payload | None = None

    async def ask(self, questions: Sequence[Question]) -> None:
        """Put an answer or an error to each question.

        Raises:
            Abandoned: the waiting was ended.
            PenstockError: the stream cannot go on; nothing was decided about what has no outcome yet.
        """
        started = perf_counter()
        together = self._together(questions)
        if len(together) == 1:
            await self._settle(together[0], started)
            return
        try:
            async with asyncio.TaskGroup() as tasks:
                for group in together:
                    tasks.create_task(self._in_turn(group, started))
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None

    def _together(self, questions: Sequence[Question]) -> list[list[Question]]:
        if not self._row_by_row:
            return [[question] for question in questions]
        return [[questions[i] for i in group] for group in groups([q.payload for q in questions], self._most_rows)]

    async def _in_turn(self, group: list[Question], started: float) -> None:
        async with self._room.taken(sum(rows_of(question.payload) for question in group)):
            await self._settle(group, started)

    async def _settle(self, group: list[Question], started: float, *, is_bad: bool = False) -> bool:
        """Settle each question of a group; whether the whole group was answered by one call.

        With ``is_bad`` the other half of a failed batch was fine, so that asking this half as a whole would be a
        wasted call.
        """
        if len(group) == 1 or not is_bad:
            error = await self._try(group, started)
            if error is None:
                return True
            if len(group) == 1:
                group[0].error, group[0].seconds = error, perf_counter() - started
                return False
        half = len(group) // 2
        was_fine = await self._settle(group[:half], started)
        await self._settle(group[half:], started, is_bad=was_fine)
        return False

    async def _try(self, group: list[Question], started: float) -> PenstockError | None:
        """Ask for a group, waiting for the service where it is away; the error that is the group's own fault."""
        overloaded = doubts = 0
        works = False
        while True:
            error = await self._call(group, started)
            if error is None:
                self._back_off.over()
                return None
            match fate(error):
                case Fate.STOP:
                    raise error
                case Fate.BLAME:
                    return error
                case Fate.DOUBT:
                    doubts += 1
                    if len(group) > 1 or works:
                        return error
                case Fate.WAIT if isinstance(error, Overloaded):
                    overloaded += 1
                    if len(group) > 1 and overloaded > 1:
                        return error
            await self._wait(error)
            if doubts >= _DOUBTS and self._proof is not None:
                works = await self._until_it_works(self._proof, error)

    async def _until_it_works(self, proof: Payload, error: PenstockError) -> bool:
        """Wait until something that was answered before is answered again."""
        while True:
            try:
                await self._caller.predict(proof, uuid4().hex)
            except PenstockError:
                await self._wait(error)
            else:
                return True

    async def _wait(self, error: PenstockError) -> None:
        self._metrics.waits.inc()
        await self._back_off.wait(error.message)

    async def _call(self, group: list[Question], started: float) -> PenstockError | None:
        payloads = [question.payload for question in group]
        for question in group:
            question.attempts += 1
        puid = group[0].puid if len(group) == 1 else uuid4().hex
        try:
            with self._metrics.call(len(group)):
                reply = await self._caller.predict(stack(payloads), puid)
        except PenstockError as error:
            return error
        parts = split(reply.payload, payloads)
        if parts is None:
            # A model that does not answer row by row will not do so with the next batch either.
            self._row_by_row = False
            return ServiceError("the answer does not have a row for each row that was asked", code="ROWS_DIFFER")
        self._proof = payloads[0]
        seconds = perf_counter() - started
        for question, part in zip(group, parts, strict=True):
            question.answer = Answer(part, reply.model, reply.version)
            question.seconds = seconds
        return None
