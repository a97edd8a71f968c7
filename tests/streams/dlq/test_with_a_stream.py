"""All the way: a bad record among good ones, set aside, repaired by a better model, replayed; on each engine."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from penstock.streams.dlq import Filter, read_ledger, replay, select

from ..conftest import on_each_engine
from .conftest import committed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.streams import Stream

    from ..conftest import Case

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]


@on_each_engine
async def test_that_a_bad_record_gets_its_result_once(
    case: Case, better: Path, working: Callable[[Stream], Any]
) -> None:
    rows = [[float(number), 1.0] for number in range(64)]
    rows[21][0] = 666.0
    for number, row in enumerate(rows):
        case.cluster.send(case.source, json.dumps(row).encode(), b"k%d" % number, [("puid", b"p-%d" % number)])
    case.cluster.flush()
    stream = case.spec()
    async with working(stream) as worker:
        await case.outcome(64)
        calls = worker.metrics.totals()["calls"]
    assert calls <= 12 + 6, "one call for each of the fetched batches, and 12 more at most"
    (bad,) = await asyncio.to_thread(lambda: list(select(stream.kafka, stream.dead_letter, Filter())))
    assert bad.letter is not None
    assert (bad.letter.reason, bad.letter.record.value) == ("MODEL_FAILED", b"[666.0, 1.0]")

    repaired = replace(stream, service=replace(stream.service, model=better))
    async with working(repaired):
        for _ in range(2):
            await asyncio.to_thread(replay, stream.kafka, stream.dead_letter, Filter())
        # What is sent afterwards comes out afterwards: by then a second copy would be there, too.
        for partition in range(3):
            case.cluster.send(case.source, b"[0, 0]", b"last", [("puid", b"last-%d" % partition)], partition)
        case.cluster.flush()
        await until_read(case, 64 + 3)
    results = await asyncio.to_thread(committed, case.cluster.address, case.sink)
    answers = {puid(each): json.loads(each.value) for each in results}
    assert len(results) == 64 + 3
    assert all(answers[f"p-{number}"] == [sum(row)] for number, row in enumerate(rows))
    assert len(await asyncio.to_thread(committed, case.cluster.address, case.dead)) == 1
    (entry,) = (await asyncio.to_thread(read_ledger, stream.kafka, stream.dead_letter)).values()
    assert entry.to.startswith(f"{case.source}/")


async def until_read(case: Case, records: int) -> None:
    found: list[Any] = []
    for _ in range(300):
        found = await asyncio.to_thread(committed, case.cluster.address, case.sink)
        if len(found) >= records:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"{len(found)} of {records} results")


def puid(record: Any) -> str:
    return str(dict(record.headers)["puid"].decode())
