"""Plays calls to a server, many at a time, and keeps of the answers what must be equal."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from ..wire_client import DATA, END_HEADERS, END_STREAM, connected, frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..wire_client import Answer, WireClient
    from .calls import RawCall

_AT_ONCE: Final = 32
_PATIENCE: Final = 8.0
# What is drawn anew for each answer: error ids, and the puids of calls whose header is not asked for one.
_DRAWN: Final = re.compile(rb"(?<=error id )[0-9a-f]{12}|[0-9a-f]{32}")
# Their answers count what was asked before, and calls that fly side by side come in any order.
_COUNTING: Final = "SendFeedback"


class Outcome(NamedTuple):
    """What a caller sees of an answer."""

    http: bytes
    status: int | None
    details: bytes
    reset: int | None
    body: bytes


SILENT: Final = Outcome(b"no answer", None, b"", None, b"")


async def play(address: str, calls: Sequence[RawCall]) -> list[Outcome]:
    """The outcomes, in order."""
    outcomes: dict[int, Outcome] = {}
    waiting = iter(enumerate(calls))

    async def caller() -> None:
        async with connected(address) as client:
            for index, call in waiting:
                try:
                    outcomes[index] = _outcome(call, await asyncio.wait_for(_one(client, call), _PATIENCE))
                except TimeoutError:
                    outcomes[index] = SILENT
                assert not client.closed.done(), f"{call} ended the connection: {client.goaway}"

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(caller())
    return [outcomes[index] for index in range(len(calls))]


async def _one(client: WireClient, call: RawCall) -> Answer:
    number = client.headers(call.fields, END_HEADERS)
    for index, piece in enumerate(call.pieces):
        ends = call.ends == "data" and index == len(call.pieces) - 1
        await client.body(number, piece, ends=ends) if piece else client.send(
            frame(DATA, END_STREAM if ends else 0, number)
        )
    if call.ends == "empty" or not call.pieces:
        client.send(frame(DATA, END_STREAM, number))
    return await client.answer(number)


def _outcome(call: RawCall, answer: Answer) -> Outcome:
    body = b"" if _COUNTING in call.about else _DRAWN.sub(b"", bytes(answer.body))
    details = _DRAWN.sub(b"", answer.details)
    return Outcome(answer.fields.get(b":status", b""), answer.status, details, answer.reset, body)
