"""``penstock kafka consume``."""

from __future__ import annotations

import os
import re
import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from penstock.cli.local import Output, Shown
from penstock.cli.predict import Format

from ._broker import Bootstrap, SpecFile, broker_of, stream_of
from ._tables import progress, say, show_object
from ._times import milliseconds, shown
from ._values import drawn, line_of, look_of, record_json, text_of

if TYPE_CHECKING:
    from penstock.proto import Kind
    from penstock.streams.consoles import Reading
    from penstock.streams.records import Record

CONSUME: Final = """
[bold]Examples[/]

penstock kafka consume predictions --from -5

penstock kafka consume predictions --follow --format ndarray

penstock kafka consume predictions --from 2h --key station-7 --output json | jq .value

penstock kafka consume images --format binData --save ./images
"""
_SUFFIXES: Final = {"PNG image": ".png", "JPEG image": ".jpg", "GIF image": ".gif", "PDF": ".pdf", "gzip": ".gz"}

Kinds = Annotated[
    Format | None,
    typer.Option(
        "--format", "-f", help="What each record is. [dim]\\[default: what it looks like][/]", show_default=False
    ),
]
Count = Annotated[int | None, typer.Option("--count", "-n", min=1, help="At most so many.", show_default=False)]
Folder = Annotated[
    Path | None, typer.Option(help="Write each value into a file of this folder.", file_okay=False, show_default=False)
]


def consume(
    topic: Annotated[str, typer.Argument(help="Its name.")],
    *,
    kind: Kinds = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="beginning, end, an offset (17), a place (0/17), the last of each partition (-10), or a time (2h, "
            "2026-11-21T10:15). [dim]\\[default: beginning; end with --follow][/]",
            metavar="PLACE",
            show_default=False,
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, help="At most so many.", show_default=False)
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="And what comes, until Ctrl-C.")] = False,
    key: Annotated[str | None, typer.Option(help="Only records with this key.", show_default=False)] = None,
    partition: Annotated[int | None, typer.Option(min=0, help="Only this one.", show_default=False)] = None,
    save: Folder = None,
    uncommitted: Annotated[
        bool, typer.Option("--uncommitted", help="Also what open and aborted transactions have written.")
    ] = False,
    spec: SpecFile = None,
    bootstrap: Bootstrap = None,
    output: Shown = Output.TEXT,
) -> None:
    """Read a topic without a group: nothing is committed, nobody is disturbed.

    In a pipe each record is one line, its value; --output json has all of it.
    """
    from penstock.proto import Kind
    from penstock.streams.consoles import consume as read

    place, since = _start(start or ("end" if follow else "beginning"))
    reading = _reading(topic, place, since, partition, count, key, follow=follow, committed=not uncommitted)
    kafka, value_kind = broker_of(stream_of(spec), bootstrap), Kind(kind) if kind else None
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
    found = 0
    quiet = follow or sys.stdout.isatty()  # where records are shown as they come, they are the progress
    with suppress(KeyboardInterrupt), nullcontext() if quiet else progress("reading") as told:
        for record in read(kafka, reading, told=told):  # Ctrl-C is the way to end it
            found += 1
            _show(record, value_kind, save, output)
    if not found:
        say(f"no records of {topic} there")


def _start(text: str) -> tuple[str, int | None]:
    if re.fullmatch(r"beginning|end|-?\d+|\d+/\d+", text):
        return text, None
    return "beginning", milliseconds(text)


def _reading(
    topic: str,
    start: str,
    since: int | None,
    partition: int | None,
    count: int | None,
    key: str | None,
    *,
    follow: bool,
    committed: bool,
) -> Reading:
    from penstock.streams.consoles import Reading

    return Reading(
        topic=topic,
        start=start,
        since=since,
        partition=partition,
        follow=follow,
        count=count,
        key=None if key is None else os.fsencode(key),
        committed=committed,
    )


def _show(record: Record, kind: Kind | None, save: Path | None, output: Output) -> None:
    if save is not None:
        if record.value is None:
            return
        file = save / f"{record.topic}-{record.partition}-{record.offset}{_suffix(record.value, kind)}"
        file.write_bytes(record.value)
        typer.echo(str(file))
    elif output is Output.JSON:
        show_object(record_json(record, kind))
    elif not sys.stdout.isatty():
        typer.echo(line_of(record.value, kind))
    else:
        _draw(record, kind)


def _suffix(value: bytes, kind: Kind | None) -> str:
    if kind is None or kind == "binData":
        return _SUFFIXES.get(look_of(value), ".bin")
    return ".txt" if kind == "strData" else ".json"


def _draw(record: Record, kind: Kind | None) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    head = Text(f"{record.partition}/{record.offset}", style="bold cyan")
    head.append(f"  {shown(record.timestamp, exact=True)}", style="dim")
    if record.key is not None:
        head.append(f"  {text_of(record.key)}", style="green")
    console.print(head)
    for name, value in record.headers:
        console.print(Text(f"  {name}: {text_of(value)}", style="dim"))
    console.print(drawn(record.value, kind))
