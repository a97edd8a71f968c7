"""The answers to a batch of records: few calls where all is well, and one bad record fails alone.

A failed call is followed by what `fates.fate` says: halving until the bad record is alone (`_settle`), waiting, or the
end of the stream (`_try`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from penstock.proto import Overloaded, PenstockError, ServiceError
from penstock.proto.trace_context import new_span

from .fates import Fate, fate
from .patience import BackOff
from .room import Room

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.proto import Payload
    from penstock.proto.trace_context import Trace

    from .calls import Caller
    from .metrics import Metrics
    from .patience import Patience
    from .spec import Stream
    from .stacking import Group

_DOUBTS: Final = 3  # tries of a single record before another one is asked to find out whether the service works


@dataclass(slots=True)
class _Turn:
    """One batch.

    Attributes:
        puids: of its records.
        traces: that its records belong to.
        started: when it began.
        settled: the groups that have an outcome.
    """

    puids: Sequence[bytes]
    traces: Mapping[int, Trace]
    started: float
    settled: list[Group] = field(default_factory=list)


class Asker:
    """Asks one model."""

    def __init__(self, stream: Stream, caller: Caller, patience: Patience, metrics: Metrics) -> None:
        self._caller = caller
        self._metrics = metrics
        self._room = Room(stream.service.concurrency, stream.batch.rows)
        self._back_off = BackOff(patience, stream.service.address or "the model")
        self._row_by_row = True
        self._proof: Payload | None = None

    async def ask(self, groups: Sequence[Group], puids: Sequence[bytes], traces: Mapping[int, Trace]) -> list[Group]:
        """The records in groups that each have an answer or, alone, an error.

        Args:
            groups: of one batch.
            puids: of its records, by place; a record's own goes with a call that it has to itself.
            traces: that its records belong to, by place; likewise.

        Raises:
            Abandoned: the waiting was ended.
            PenstockError: the stream cannot go on; nothing was decided about what has no outcome yet.
        """
        turn = _Turn(puids, traces, perf_counter())
        if not self._row_by_row:
            groups = [single for group in groups for single in group.singles()]
        if len(groups) == 1:
            await self._settle(groups[0], turn)
            return turn.settled
        try:
            async with asyncio.TaskGroup() as tasks:
                for group in groups:
                    tasks.create_task(self._in_turn(group, turn))
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return turn.settled

    async def _in_turn(self, group: Group, turn: _Turn) -> None:
        async with self._room.taken(sum(group.rows)):
            await self._settle(group, turn)

    async def _settle(self, group: Group, turn: _Turn, *, is_bad: bool = False) -> bool:
        """Settle each record of a group; whether the whole group was answered by one call.

        With ``is_bad`` the other half of a failed batch was fine, so that asking this half as a whole would be a
        wasted call.
        """
        is_single = len(group.members) == 1
        if is_single or not is_bad:
            error = await self._try(group, turn)
            if error is None or is_single:
                group.error, group.seconds = error, perf_counter() - turn.started
                turn.settled.append(group)
                return error is None
        half, rest = group.halves()
        was_fine = await self._settle(half, turn)
        await self._settle(rest, turn, is_bad=was_fine)
        return False

    async def _try(self, group: Group, turn: _Turn) -> PenstockError | None:
        """Ask for a group, waiting for the service where it is away; the error that is the group's own fault."""
        overloaded = doubts = 0
        works = False
        while True:
            error = await self._call(group, turn)
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
                    if len(group.members) > 1 or works:
                        return error
                case Fate.WAIT if isinstance(error, Overloaded):
                    overloaded += 1
                    if len(group.members) > 1 and overloaded > 1:
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

    async def _call(self, group: Group, turn: _Turn) -> PenstockError | None:
        group.attempts += 1
        group.puid, group.span = uuid4().hex, new_span() if turn.traces else ""
        headers = None
        if len(group.members) == 1:
            place = group.members[0]
            group.puid = turn.puids[place].decode()
            if place in turn.traces:
                headers = turn.traces[place].headers(group.span)
        try:
            with self._metrics.call(len(group.members)):
                answer = await self._caller.predict(group.payload, group.puid, headers)
        except PenstockError as error:
            return error
        if not group.is_answered_by(answer.payload):
            # A model that does not answer row by row will not do so with the next batch either.
            self._row_by_row = False
            return ServiceError("the answer does not have a row for each row that was asked", code="ROWS_DIFFER")
        self._proof = group.part(0, 1).payload if len(group.members) > 1 else group.payload
        group.answer = answer
        return None
