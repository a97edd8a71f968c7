"""``penstock trace``: what became of one record."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from penstock.cli.local import Output, Shown
from penstock.cli.topics._broker import Bootstrap, broker_of
from penstock.cli.topics._tables import say, show_object
from penstock.cli.topics._times import Since, milliseconds, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.streams.lineage import Event, Looked, Story

_EPILOG = """
[bold]Examples[/]

penstock trace 4fd0a91c iris.toml

penstock trace 4bf92f3577b34da6a3ce929d0e0e4736 cleaning.toml iris.toml --since 2h

penstock trace 4fd0a91c --topic measurements --topic predictions --output json | jq .events

[dim]PUID is that of a record or a result (header puid), of a call (header penstock-call), or a trace id. A record
without one has the one that its result shows.[/]
"""
_COLOURS: Final = {"record": "cyan", "call": "blue", "result": "green", "dead letter": "red", "replay": "yellow"}
_NOT_FOUND: Final = 3

Specs = Annotated[
    list[Path] | None, typer.Argument(help="Streams' specs, for their topics; all at one broker.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("trace", epilog=_EPILOG)(trace)


def trace(
    puid: Annotated[str, typer.Argument(help="A puid, or a W3C trace id.")],
    specs: Specs = None,
    *,
    topic: Annotated[
        list[str] | None, typer.Option("--topic", "-t", help="Look there, too.", show_default=False)
    ] = None,
    since: Since = None,
    bootstrap: Bootstrap = None,
    output: Shown = Output.TEXT,
) -> None:
    """Find a record, its call, its result, its dead letter and its replays, and tell them in order.

    All of the topics is read, unless --since says how far back. Exit code 3 where nothing was found.
    """
    from penstock.proto import SetupError
    from penstock.streams import load_stream
    from penstock.streams.lineage import Places
    from penstock.streams.lineage import trace as look

    streams = [load_stream(spec) for spec in specs or ()]
    if not puid.strip():
        raise SetupError("nothing to look for: the puid is empty")
    if not streams and not topic:
        raise SetupError("where to look? Name the specs of streams, or give --topic")
    places = Places.of(broker_of(streams[0] if streams else None, bootstrap), streams, topic or ())
    with _progress() as told:
        story = look(puid.strip(), places, since=milliseconds(since), told=told)
    if output is Output.JSON:
        show_object(
            {
                "puids": sorted(story.puids),
                "events": [asdict(each) for each in story.events],
                "looked": [asdict(each) for each in story.looked],
            }
        )
    else:
        _tell(puid, story)
    if not story.events:
        raise typer.Exit(_NOT_FOUND)


def _tell(puid: str, story: Story) -> None:
    if not story.events:
        say(f"nothing of {puid}")
    if sys.stdout.isatty() and story.events:
        from rich.console import Console
        from rich.text import Text

        console = Console(highlight=False, soft_wrap=True)
        for each in story.events:
            line = Text(f"{shown(each.at, exact=True)}  ", style="dim")
            line.append(f"{each.step:11}  ", style=f"bold {_COLOURS.get(each.step, '')}")
            line.append(each.place)
            console.print(line)
            for name, value in _details(each, puid).items():
                console.print(Text(f"{'':25}{name:11}  ", style="dim") + Text(str(value)))
    else:
        for each in story.events:
            told = " ".join(f"{name}={value}" for name, value in _details(each, puid).items())
            typer.echo(f"{shown(each.at, exact=True)}\t{each.step}\t{each.place}\t{told}")
    for looked in story.looked:
        say(_reach(looked))


def _details(event: Event, puid: str) -> dict[str, Any]:
    """What is worth a line; the puid only where it is another one than was asked for."""
    return event.told if event.puid in ("", puid) else {"puid": event.puid} | event.told


def _reach(looked: Looked) -> str:
    if looked.first is None:
        return f"looked at {looked.topic}: no records"
    whole = "all that there are, " if looked.whole else ""
    return f"looked at {looked.topic}: {looked.records:,} records, {whole}back to {shown(looked.first)}"


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    if not sys.stderr.isatty():
        yield lambda _topic, _done, _all: None
        return
    from rich.console import Console
    from rich.status import Status

    with Status("", console=Console(stderr=True)) as status:
        yield lambda topic, done, total: status.update(f"looking at {topic}: {done:,} of {total:,}")
