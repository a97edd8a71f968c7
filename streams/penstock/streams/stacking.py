"""Records that share a call: their rows as one payload, in parts again where the call has failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from penstock.proto import Payload

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from penstock.proto import PenstockError

    from .calls import Answer


@dataclass(slots=True)
class Group:
    """Records that are asked for in one call, and what came of it.

    Attributes:
        members: the places of the records in their batch, ascending.
        payload: the rows of all of them, in that order.
        rows: how many rows each has; 0 for a record without rows, which is alone.
        answer: the prediction for all rows; None until there is one.
        error: why there is none.
        attempts: calls that these records took part in: always the same for all, as groups are only ever divided.
        seconds: from the start of the batch to the outcome.
        puid: of the call that was answered.
        span: its span id, for the records that are part of a trace.
    """

    members: list[int]
    payload: Payload
    rows: list[int]
    answer: Answer | None = None
    error: PenstockError | None = None
    attempts: int = 0
    seconds: float = 0.0
    puid: str = field(default="", repr=False)
    span: str = field(default="", repr=False)

    def part(self, start: int, stop: int) -> Group:
        """Some of the records, with the calls that they took part in."""
        return Group(
            self.members[start:stop], self._payload(start, stop), self.rows[start:stop], attempts=self.attempts
        )

    def halves(self) -> tuple[Group, Group]:
        """The records in two groups."""
        middle = len(self.members) // 2
        return self.part(0, middle), self.part(middle, len(self.members))

    def singles(self) -> list[Group]:
        """Each record in a group of its own."""
        if len(self.members) == 1:
            return [self]
        return [self.part(at, at + 1) for at in range(len(self.members))]

    def is_answered_by(self, answer: Payload) -> bool:
        """Whether ``answer`` tells who gets what: one record gets all of it, many need a row for each row."""
        if len(self.members) == 1:
            return True
        return answer.kind.is_array and answer.array.ndim > 0 and answer.array.shape[0] == sum(self.rows)

    def _payload(self, start: int, stop: int) -> Payload:
        first = sum(self.rows[:start])
        rows = self.payload.array[first : first + sum(self.rows[start:stop])]
        return Payload(self.payload.kind, rows, self.payload.names)


def grouped(members: Sequence[int], payloads: Sequence[Payload], most_rows: int) -> list[Group]:
    """The payloads of records in as few groups as may be.

    Arrays of one kind, dtype, row shape and column names share one, up to ``most_rows`` rows. A kind without rows,
    and an array without any row, has a call to itself.
    """
    result: list[list[int]] = []
    open_: dict[Hashable, tuple[list[int], int]] = {}
    counts = [rows_of(payload) for payload in payloads]
    for index, (payload, rows) in enumerate(zip(payloads, counts, strict=True)):
        if rows == 0:
            result.append([index])
            continue
        key = (payload.kind, payload.array.dtype, payload.array.shape[1:], payload.names)
        indices, taken = open_.get(key, ([], 0))
        if not indices or taken + rows > most_rows:
            indices, taken = [], 0
            result.append(indices)
        indices.append(index)
        open_[key] = indices, taken + rows
    return [
        Group([members[i] for i in indices], _stacked([payloads[i] for i in indices]), [counts[i] for i in indices])
        for indices in result
    ]


def divided(group: Group, most_rows: int) -> list[Group]:
    """The same records in groups of at most ``most_rows`` rows; a record alone may have more."""
    if sum(group.rows) <= most_rows:
        return [group]
    result, start, taken = [], 0, 0
    for at, rows in enumerate(group.rows):
        if taken and taken + rows > most_rows:
            result.append(group.part(start, at))
            start, taken = at, 0
        taken += rows
    return [*result, group.part(start, len(group.rows))]


def rows_of(payload: Payload) -> int:
    """How many rows a payload has; 0 for a kind without rows."""
    return payload.array.shape[0] if payload.kind.is_array and payload.array.ndim > 1 else 0


def _stacked(payloads: Sequence[Payload]) -> Payload:
    first = payloads[0]
    if len(payloads) == 1:
        return first
    return Payload(first.kind, np.concatenate([each.array for each in payloads]), first.names)
