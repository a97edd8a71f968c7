"""``penstock stream``: run a stream, or look at what a spec says."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from penstock.streams import Stream

_RUN = """
[bold]Examples[/]

penstock stream run iris.toml

penstock stream run iris.toml --metrics-port 9102

[dim]Several workers of one group share the partitions: start the same command again. Ctrl-C or SIGTERM finishes
the batch in hand, commits and leaves the group.[/]
"""
_CHECK = """
[bold]Examples[/]

penstock stream check iris.toml

penstock stream check iris.toml --output json | jq .kafka.group
"""

Spec = Annotated[Path, typer.Argument(help="What the stream is to do, in TOML; docs/streams.md has an example.")]


class Output(StrEnum):
    """How the spec is shown."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Answer the records of a Kafka topic in another: run, check.")
    group.command("run", epilog=_RUN)(run)
    group.command("check", epilog=_CHECK)(check)
    app.add_typer(group, name="stream")


def run(
    spec: Spec,
    *,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Show Prometheus metrics on this port of 127.0.0.1; 0 picks a free one."),
    ] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two lines of progress.")] = 5.0,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="What Faust and Kafka's client log, too.")] = False,
) -> None:
    """Run a worker of a stream until it is stopped."""
    from penstock.streams import load_stream
    from penstock.streams.running import run_worker

    run_worker(load_stream(spec), metrics_port=metrics_port, interval=interval, verbose=verbose)


def check(
    spec: Spec,
    *,
    output: Annotated[Output, typer.Option("--output", "-o", help="json is one object on one line.")] = Output.TEXT,
) -> None:
    """Check a spec and show all of it, with what is not said filled in."""
    from penstock.streams import load_stream

    plain = _plain(load_stream(spec))
    if output is Output.JSON:
        typer.echo(json.dumps(plain))
        return
    for key, value in plain.items():
        if isinstance(value, dict):
            typer.echo(f"[{key}]")
            for line in _lines(value):
                typer.echo(f"  {line}")
        else:
            typer.echo(f"{key} = {json.dumps(value)}")


def _lines(table: dict[str, object], prefix: str = "") -> list[str]:
    lines: list[str] = []
    for key, value in table.items():
        if isinstance(value, dict):
            lines += _lines(value, f"{prefix}{key}.")
        elif value not in (None, "", []):
            lines.append(f"{prefix}{key} = {json.dumps(value)}")
    return lines


def _plain(stream: Stream) -> dict[str, object]:
    """The spec as it would be written, all defaults included."""
    from dataclasses import asdict

    plain: dict[str, Any] = json.loads(json.dumps(asdict(stream), default=str))
    source, sink = stream.source, stream.sink
    plain["source"]["encoding"] = "base64" if plain["source"].pop("base64") else "raw"
    plain["source"]["features"] = [str(pointer) for pointer in source.features]
    plain["sink"]["field"] = str(sink.field) if sink.field else None
    plain["dead_letter"] = {"topic": stream.dead_letter}
    first = {key: plain[key] for key in ("name", "engine", "guarantee")}
    return first | plain
