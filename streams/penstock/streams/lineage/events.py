"""What a record of a topic tells about a puid: that it was read, answered, set aside, or written again."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from penstock.proto import PayloadError
from penstock.proto.trace_context import TRACEPARENT, read_trace
from penstock.streams.dlq import letter_of
from penstock.streams.headers import CALL, ELAPSED, MODEL, STREAM, VERSION

if TYPE_CHECKING:
    from penstock.streams.dlq import Entry
    from penstock.streams.records import Headers, Record


class Step(StrEnum):
    """What happened."""

    RECORD = "record"
    CALL = "call"
    RESULT = "result"
    DEAD_LETTER = "dead letter"
    REPLAY = "replay"
    PURGE = "purge"


@dataclass(frozen=True, slots=True)
class Event:
    """One step of the story.

    Attributes:
        at: when; milliseconds since 1970.
        step: what happened.
        place: ``topic/partition/offset``; of a call, that of its result.
        puid: of the record there.
        told: what else is known, by name.
    """

    at: int
    step: Step
    place: str
    puid: str
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Looked:
    """How far a topic was looked through.

    Attributes:
        topic: its name.
        records: that were read.
        first: time of the oldest of them; milliseconds since 1970, None where there was none.
        whole: whether that was all that the topic still has.
    """

    topic: str
    records: int
    first: int | None
    whole: bool


def events_of(record: Record, puid: str) -> list[Event]:
    """What a record tells, whichever kind of topic it is from."""
    place = f"{record.topic}/{record.partition}/{record.offset}"
    try:
        letter = letter_of(record)
    except PayloadError:
        pass
    else:
        source = letter.record
        why = {name: getattr(letter, name) for name in ("reason", "message", "attempts", "stream", "model", "version")}
        why["source"] = f"{source.topic}/{source.partition}/{source.offset}"
        return [Event(record.timestamp, Step.DEAD_LETTER, place, puid, _filled(why))]
    headers = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
    told = {
        "key": None if record.key is None else record.key.decode("utf-8", "replace"),
        "trace": trace_id(record.headers),
    }
    if STREAM not in headers:
        return [Event(record.timestamp, Step.RECORD, place, puid, _filled(told))]
    elapsed = headers.get(ELAPSED, "")
    call = {
        "call": headers.get(CALL, ""),
        "model": headers.get(MODEL, ""),
        "version": headers.get(VERSION, ""),
        "elapsed_ms": elapsed,
        "traceparent": headers.get(TRACEPARENT, ""),
    }
    result = Event(record.timestamp, Step.RESULT, place, puid, _filled(told | {"stream": headers[STREAM]}))
    if not call["model"]:  # a tombstone that was passed on
        return [result]
    return [Event(record.timestamp - _milliseconds(elapsed), Step.CALL, place, puid, _filled(call)), result]


def event_of_entry(entry: Entry, ledger: str, letter: str) -> Event:
    """What a ledger tells about a dead letter."""
    step = Step.REPLAY if entry.done == "replayed" else Step.PURGE
    told = {"letter": letter, "source": entry.source, "to": entry.to, "to_puid": entry.to_puid}
    return Event(entry.at, step, f"{ledger}/0", entry.puid, _filled(told))


def trace_id(headers: Headers) -> str:
    """The W3C trace id that headers name; empty where they name none."""
    found = read_trace([value for name, value in headers if name.lower() == TRACEPARENT])
    return found.trace_id if found else ""


def _text(key: bytes | None) -> str | None:
    try:
        return None if key is None else key.decode()
    except UnicodeDecodeError:
        return f"0x{(key or b'').hex()}"


def _filled(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value not in ("", None)}


def _milliseconds(text: str) -> int:
    try:
        return round(float(text))
    except (ValueError, OverflowError):
        return 0
