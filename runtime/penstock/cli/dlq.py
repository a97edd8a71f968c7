"""``penstock dlq``: the dead letters of a stream, looked at, replayed, forgotten."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from penstock.cli.local import Output, Shown
from penstock.cli.topics._broker import Bootstrap, SpecArgument, broker_of, stream_of
from penstock.cli.topics._letters import COLUMNS, letter_json, row_of, show_letter, sum_up
from penstock.cli.topics._tables import progress, say, show_object, show_table
from penstock.cli.topics._times import Since, Until, milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from penstock.streams import Kafka, Stream
    from penstock.streams.dlq import Filter, Selected

_LIST = """
[bold]Examples[/]

penstock dlq list iris.toml

penstock dlq list iris.toml --reason MODEL_FAILED --since 2h

penstock dlq list --topic iris-dead-letters --output json | jq -r .puid
"""
_SHOW = """
[bold]Examples[/]

penstock dlq show iris.toml --at 0/17

penstock dlq show iris.toml --key station-7 --output json
"""
_REPLAY = """
[bold]Examples[/]

penstock dlq replay iris.toml --dry-run

penstock dlq replay iris.toml --reason MODEL_FAILED

penstock dlq replay iris.toml --at 0/17 --to measurements-by-hand

[dim]Key, value and headers are written byte for byte, in one transaction with a note of it: a letter that has been
replayed is not replayed again, whatever the filter.[/]
"""
_PURGE = """
[bold]Examples[/]

penstock dlq purge iris.toml --reason INVALID_JSON --until 7d

penstock dlq purge iris.toml --handled
"""
_ROWS: Final = 50  # of a table in a terminal
_LETTERS: Final = 10  # shown at once

Topic = Annotated[
    str | None, typer.Option("--topic", "-t", help="The dead-letter topic, where there is no spec.", show_default=False)
]
Reasons = Annotated[list[str] | None, typer.Option("--reason", help="Only these codes.", show_default=False)]
Streams = Annotated[list[str] | None, typer.Option("--stream", help="Only of these streams.", show_default=False)]
Keys = Annotated[list[str] | None, typer.Option("--key", help="Only records with these keys.", show_default=False)]
Places = Annotated[
    list[str] | None,
    typer.Option("--at", help="Only this partition, or this PARTITION/OFFSET.", metavar="PLACE", show_default=False),
]
Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="At most so many.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Dead letters: list, show, replay, purge.")
    group.command("list", epilog=_LIST)(list_)
    group.command("show", epilog=_SHOW)(show)
    group.command("replay", epilog=_REPLAY)(replay)
    group.command("purge", epilog=_PURGE)(purge)
    app.add_typer(group, name="dlq")


def list_(
    spec: SpecArgument = None,
    *,
    topic: Topic = None,
    bootstrap: Bootstrap = None,
    reason: Reasons = None,
    stream: Streams = None,
    key: Keys = None,
    at: Places = None,
    since: Since = None,
    until: Until = None,
    handled: Annotated[bool, typer.Option("--all", help="Those that have been handled, too.")] = False,
    limit: Limit = None,
    output: Shown = Output.TEXT,
) -> None:
    """List dead letters, and how many there are for each reason."""
    kafka, topic = _where(spec, topic, bootstrap)
    wanted = _filter(reason, stream, key, at, since, until, handled=handled)
    if limit is None and output is Output.TEXT and sys.stdout.isatty():
        limit = _ROWS
    rows: list[list[str]] = []
    counts: Counter[str] = Counter()
    for each in _selected(kafka, topic, wanted):
        counts[each.letter.reason if each.letter else "(no dead letter of Penstock)"] += 1
        if limit is not None and counts.total() > limit:
            continue
        if output is Output.JSON:
            show_object(letter_json(each, value=False))
        elif sys.stdout.isatty():
            rows.append(row_of(each))
        else:
            show_table((), [row_of(each)])
    if output is Output.TEXT:
        if rows:
            show_table(COLUMNS if handled else COLUMNS[:-1], rows, right=("attempts",), folded="message")
        sum_up(topic, counts, limit)


def show(
    spec: SpecArgument = None,
    *,
    topic: Topic = None,
    bootstrap: Bootstrap = None,
    reason: Reasons = None,
    stream: Streams = None,
    key: Keys = None,
    at: Places = None,
    since: Since = None,
    until: Until = None,
    handled: Annotated[bool, typer.Option("--all", help="Those that have been handled, too.")] = False,
    limit: Limit = _LETTERS,
    output: Shown = Output.TEXT,
) -> None:
    """Show all of some dead letters: where the record was, why it was set aside, its headers and its value."""
    kafka, topic = _where(spec, topic, bootstrap)
    # A letter that is asked for by its place is wanted, whatever has become of it.
    wanted = _filter(reason, stream, key, at, since, until, handled=handled or bool(at))
    count = 0
    for each in _selected(kafka, topic, wanted):
        count += 1
        if limit is not None and count > limit:
            continue
        if output is Output.JSON:
            show_object(letter_json(each, value=True))
        else:
            show_letter(each)
    if not count:
        say("no such dead letters")
    elif limit is not None and count > limit:
        say(f"{count - limit:,} more; --limit shows them")


def replay(
    spec: SpecArgument = None,
    *,
    topic: Topic = None,
    bootstrap: Bootstrap = None,
    to: Annotated[
        str, typer.Option(help="Another topic than the one that each record comes from.", show_default=False)
    ] = "",
    reason: Reasons = None,
    stream: Streams = None,
    key: Keys = None,
    at: Places = None,
    since: Since = None,
    until: Until = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    output: Shown = Output.TEXT,
) -> None:
    """Write the records of dead letters again, each one once, however often this is done."""
    from penstock.proto import SetupError
    from penstock.streams.dlq import replay as write

    kafka, topic = _where(spec, topic, bootstrap)
    wanted = _filter(reason, stream, key, at, since, until)
    with progress("replaying") as passed:
        done = write(kafka, topic, wanted, to=to, dry_run=dry_run, told=passed)
    if output is Output.JSON:
        told = {"topics": dict(done.topics), "reasons": dict(done.reasons), "foreign": done.foreign}
        show_object({"records": done.records, "dry_run": dry_run} | told)
    else:
        would = "would be replayed" if dry_run else "replayed"
        for target, count in sorted(done.topics.items()):
            typer.echo(f"{count:,} {would} into {target}")
        if not done.records:
            typer.echo(f"nothing to replay in {topic}")
        for why, count in done.reasons.most_common():
            typer.echo(f"  {count:,} {why}")
    if done.foreign:
        said = f"{done.foreign:,} records of {topic} are no dead letters of Penstock: nobody knows where they came from"
        if not done.records:
            raise SetupError(said)
        say(f"{said}; they stay where they are")


def purge(
    spec: SpecArgument = None,
    *,
    topic: Topic = None,
    bootstrap: Bootstrap = None,
    reason: Reasons = None,
    stream: Streams = None,
    key: Keys = None,
    at: Places = None,
    since: Since = None,
    until: Until = None,
    handled: Annotated[bool, typer.Option("--handled", help="Delete only what has been handled already.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Shown = Output.TEXT,
) -> None:
    """Forget dead letters: they are noted as handled, and deleted as far as all before them are handled, too."""
    from penstock.streams.dlq import purge as forget

    kafka, topic = _where(spec, topic, bootstrap)
    wanted = None if handled else _filter(reason, stream, key, at, since, until)
    if not yes and not handled:
        _ask(kafka, topic, wanted)
    with progress("purging") as told:
        done = forget(kafka, topic, wanted, told=told)
    if output is Output.JSON:
        show_object(asdict(done))
        return
    typer.echo(f"{done.noted:,} dead letters of {topic} forgotten; {done.deleted:,} deleted")
    if done.left:
        say(f"{done.left:,} handled ones stay behind one that is not; they are not listed or replayed any more")


def _where(spec: Path | None, topic: str | None, bootstrap: str | None) -> tuple[Kafka, str]:
    from penstock.proto import SetupError

    stream: Stream | None = stream_of(spec)
    name = topic or (stream.dead_letter if stream else "")
    if not name:
        raise SetupError("which dead letters? Name a stream's spec, or give --topic")
    return broker_of(stream, bootstrap), name


def _filter(
    reasons: list[str] | None,
    streams: list[str] | None,
    keys: list[str] | None,
    places: list[str] | None,
    since: str | None,
    until: str | None,
    *,
    handled: bool = False,
) -> Filter:
    import re

    from penstock.proto import SetupError
    from penstock.streams.dlq import Filter

    for place in places or ():
        if not re.fullmatch(r"\d+(/\d+)?", place):
            raise SetupError(f"--at {place!r:.40} is no place; write a partition (0), or partition and offset (0/17)")
    return Filter(
        reasons=tuple(reasons or ()),
        streams=tuple(streams or ()),
        keys=tuple(key.encode(errors="surrogateescape") for key in keys or ()),
        places=tuple(places or ()),
        since=milliseconds(since),
        until=milliseconds(until),
        handled=handled,
    )


def _selected(kafka: Kafka, topic: str, wanted: Filter) -> Iterable[Selected]:
    from penstock.streams.dlq import select

    with progress("looking") as told:
        yield from select(kafka, topic, wanted, told=told)


def _ask(kafka: Kafka, topic: str, wanted: Filter | None) -> None:
    from penstock.proto import SetupError

    if wanted is None:
        return
    count = sum(1 for _ in _selected(kafka, topic, wanted))
    if not count:
        return
    if not sys.stdin.isatty():
        raise SetupError(f"this would forget {count:,} dead letters of {topic} for good; say --yes")
    if not typer.confirm(f"Forget {count:,} dead letters of {topic} for good?"):
        raise typer.Exit(1)
