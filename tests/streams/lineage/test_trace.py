"""What became of a record, found again after a stream has answered it, set it aside, or answered it later."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from penstock.streams.dlq import Filter, replay
from penstock.streams.headers import puid_of
from penstock.streams.lineage import Places, trace
from penstock.streams.records import Record

from ..typed import typed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.streams import Stream

    from ..conftest import Case

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01".encode()


@pytest.mark.parametrize("case", ["exactly-once"], indirect=True)
async def test_the_story_of_a_record(case: Case, better: Path, working: Callable[[Stream], Any]) -> None:
    send = case.cluster.send
    send(case.source, b"[1, 2]", b"k", [("puid", b"p-1"), ("traceparent", PARENT)], 0)
    send(case.source, b"[666, 2]", b"bad", [], 0)
    for number in range(40):
        send(case.source, b"[3, %d]" % number, None, [("puid", b"other-%d" % number)], 1)
    case.cluster.flush()
    stream = case.spec()
    async with working(stream):
        await case.outcome(42)
    await asyncio.to_thread(replay, stream.kafka, stream.dead_letter, Filter())
    async with working(replace(stream, service=replace(stream.service, model=better))):
        await case.outcome(43)

    def found(wanted: str, since: int | None = None) -> list[tuple[str, str]]:
        story = trace(wanted, Places.of(stream.kafka, [stream]), since=since)
        return [(str(event.step), event.place.rpartition("/")[0]) for event in story.events]

    def look() -> None:
        answered = [("record", f"{case.source}/0"), ("call", f"{case.sink}/0"), ("result", f"{case.sink}/0")]
        assert [step for step, _ in found("p-1")] == ["record", "call", "result"]
        assert [step for step, _ in found(TRACE)] == ["record", "call", "result"]
        assert found("p-1")[0] == answered[0]
        assert found("nothing") == []
        assert found("p-1", since=int(time.time() * 1000) + 60_000) == []

        # The bad one brought no puid: it has another one where it was written again, and is one story under both.
        (first, second) = [each for each in case.cluster.read(case.source) if each.value == b"[666, 2]"]
        puids = [
            puid_of(Record(each.topic, 0, each.offset, each.timestamp, None, None, [])) for each in (first, second)
        ]
        steps = ["record", "dead letter", "record", "replay", "call", "result"]
        for puid in puids:
            assert sorted(step for step, _ in found(puid)) == sorted(steps)
        story = trace(puids[1], Places.of(stream.kafka, [stream]))
        assert story.puids == set(puids)
        assert {event.told["to"] for event in story.events if event.step == "replay"} == {
            f"{case.source}/0/{second.offset}"
        }
        assert next((each.topic, each.whole) for each in story.looked) == (case.source, True)

    await asyncio.to_thread(look)


@pytest.mark.parametrize("case", ["pipe"], indirect=True)
async def test_the_command(case: Case, working: Callable[[Stream], Any]) -> None:
    for number in range(20):
        case.cluster.send(case.source, b"[1, %d]" % number, b"k", [("puid", b"p-%d" % number)], 0)
    case.cluster.flush()
    async with working(case.spec()):
        await case.outcome(20)
    spec = str(case.file())

    def look() -> None:
        ran = typed("trace", "p-7", spec)
        assert ran.code == 0
        assert [line.split("\t")[1] for line in ran.stdout.splitlines()] == ["record", "call", "result"]
        assert f"looked at {case.source}: 20 records, all that there are, back to " in ran.stderr
        told = json.loads(typed("trace", "p-7", spec, "--output", "json").stdout)
        (call,) = (event["told"].get("call") for event in told["events"] if event["step"] == "call")
        if call:  # it was asked together with others: found by the call, they are one call and its results
            joined = json.loads(
                typed("trace", call, "--topic", case.sink, "--bootstrap", case.cluster.address, "-o", "json").stdout
            )
            steps = [event["step"] for event in joined["events"]]
            assert (steps.count("call"), steps.count("result") > 1) == (1, True)
        assert typed("trace", "p-7", spec, "--since", "2099-01-01").code == 3
        assert typed("trace", "nothing", spec).stdout == ""
        assert "where to look?" in typed("trace", "p-7").stderr

    await asyncio.to_thread(look)
