"""Dead letters as they are shown: a line of a list, an object, or all of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from ._tables import say
from ._times import shown
from ._values import drawn, headers_json, json_of, key_json, text_of

if TYPE_CHECKING:
    from collections import Counter

    from penstock.streams.dlq import Letter, Selected

COLUMNS: Final = ("place", "set aside", "key", "reason", "message", "attempts", "handled")


def row_of(each: Selected) -> list[str]:
    """One line of the list, in the order of `COLUMNS`; the last one only where it has been handled."""
    letter, key = each.letter, text_of(each.record.key)
    told = (letter.reason, letter.message, str(letter.attempts)) if letter else ("-", "no dead letter of Penstock", "-")
    row = [each.place, shown(each.record.timestamp), key or "-", *told]
    return [*row, each.entry.done] if each.entry else row


def sum_up(topic: str, counts: Counter[str], limit: int | None) -> None:
    """Say how many there are for each reason, on stderr."""
    if not counts:
        say(f"no such dead letters in {topic}; --all looks at those that have been handled, too")
        return
    if limit is not None and counts.total() > limit:
        say(f"the first {limit:,} of {counts.total():,}; --limit shows more")
    for reason, count in counts.most_common():
        say(f"{count:8,} {reason}")


def letter_json(each: Selected, *, value: bool) -> dict[str, Any]:
    """All of it as one object, with or without its value."""
    record, letter = each.record, each.letter
    found: dict[str, Any] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": key_json(record.key),
    }
    if letter is not None:
        found |= _about(letter)
    found["headers"] = headers_json((letter.record if letter else record).headers)
    if value:
        found["value"] = json_of(record.value)
    return found | {"handled": asdict(each.entry) if each.entry else None}


def _about(letter: Letter) -> dict[str, Any]:
    from penstock.streams.headers import puid_of

    names = ("reason", "message", "attempts", "stream", "model", "version")
    source = {name: getattr(letter.record, name) for name in ("topic", "partition", "offset", "timestamp")}
    return {name: getattr(letter, name) for name in names} | {"puid": puid_of(letter.record), "source": source}


def show_letter(each: Selected) -> None:
    """Print all of it for a person."""
    from rich.console import Console
    from rich.text import Text

    from penstock.streams.headers import puid_of

    console, record, letter = Console(highlight=False, soft_wrap=True), each.record, each.letter
    rows = [("place", f"{record.topic} {each.place}"), ("set aside", shown(record.timestamp, exact=True))]
    if letter is not None:
        source = letter.record
        rows += [
            ("reason", f"{letter.reason}: {letter.message}"),
            ("attempts", f"{letter.attempts} model calls"),
            ("stream", letter.stream),
            ("model", f"{letter.model} {letter.version}".strip() or "-"),
            ("record", f"{source.topic} {source.partition}/{source.offset}, {shown(source.timestamp, exact=True)}"),
            ("puid", puid_of(source)),
        ]
    if each.entry is not None:
        rows.append(("handled", f"{each.entry.done} {shown(each.entry.at, exact=True)} {each.entry.to}".strip()))
    rows.append(("key", text_of(record.key) or ("(none)" if record.key is None else "(empty)")))
    rows += [("header", f"{name}: {text_of(value)}") for name, value in (letter.record if letter else record).headers]
    for name, value in rows:
        console.print(Text(f"{name:9} ", style="dim") + Text(value))
    console.print(drawn(record.value))
    console.print()
