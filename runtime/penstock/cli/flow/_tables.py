"""How deployments are shown: tables and colours in a terminal, plain lines in a pipe."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from penstock.deploy.flows import Change, Details, Outcome, Summary

_STATES: Final = {"running": "green", "partly running": "yellow", "stopped": "dim", "empty": "dim"}
_SIGNS: Final = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow"), "moved": ("↔", "blue")}


def show_plain(found: Any) -> None:
    """Print it as one JSON value on one line."""
    typer.echo(json.dumps(found, ensure_ascii=False))


def show_summaries(found: Sequence[Summary]) -> None:
    """Print a line for each."""
    if not found:
        typer.echo("no deployments", err=True)
        return
    rows = [
        (each.name, each.state, str(each.queued), str(each.invalid), str(each.bulletins), each.template or "none")
        for each in found
    ]
    _table(("name", "state", "queued", "invalid", "bulletins", "template"), rows)


def show_details(found: Details) -> None:
    """Print everything about one."""
    head = found.summary
    colour = _STATES.get(head.state)
    state = typer.style(head.state, fg=None if colour == "dim" else colour, dim=colour == "dim")
    for name, value in (("name", head.name), ("state", state), ("template", head.template or "none")):
        typer.echo(f"{typer.style(f'{name:8}', dim=True)} {value}")
    typer.echo(f"{typer.style('canvas  ', dim=True)} {head.address}")
    if found.comments:
        typer.echo(f"{typer.style('about   ', dim=True)} {found.comments}")
    components = [*found.processors, *found.services]
    _section("components", ("name", "type", "state"), [(each.name, each.type, each.state) for each in components])
    for each in components:
        for problem in each.problems:
            typer.secho(f"{each.name}: {problem}", fg="red")
    _section("queues", ("connection", "queued"), [(each.name, str(each.queued)) for each in found.queues])
    shown = [(each.name, _value(each.value, secret=each.secret, is_set=each.is_set)) for each in found.parameters]
    _section("parameters", ("name", "value"), shown)
    bulletins = [(each.time, each.level, each.source, each.message[-300:]) for each in found.bulletins]
    _section("bulletins", ("time", "level", "from", "message"), bulletins)


def show_changes(changes: Iterable[Change]) -> None:
    """Print a line for each difference."""
    for each in changes:
        sign, colour = _SIGNS[each.kind]
        typer.secho(f"{sign} {each}", fg=colour)


def show_outcome(outcome: Outcome, *, dry_run: bool) -> None:
    """Print what was done, or would be."""
    show_changes(outcome.changes)
    for name in outcome.secrets:
        typer.secho(f"~ secret '{name}' set", fg="yellow")
    for each in outcome.conflicts:
        typer.secho(f"kept as on the canvas: {each}", fg="magenta")
    typer.echo(_sentence(outcome, dry_run=dry_run))


def outcome_json(outcome: Outcome, *, dry_run: bool) -> dict[str, Any]:
    """An outcome for scripts."""
    return asdict(outcome) | {"changed": outcome.changed, "dry_run": dry_run}


def _sentence(outcome: Outcome, *, dry_run: bool) -> str:
    if not outcome.changed:
        return f"'{outcome.name}' is as it should be: nothing to change"
    done = [
        *(["created"] if outcome.created else ["changed"] if outcome.changes or outcome.secrets else []),
        *(["started"] if outcome.started else []),
        *(["stopped"] if outcome.stopped else []),
    ]
    what = f"{' and '.join(done)}"
    return f"'{outcome.name}' would be {what}" if dry_run else f"'{outcome.name}' {what}: {outcome.address}"


def _value(value: str | None, *, secret: bool, is_set: bool) -> str:
    if not is_set:
        return "(not set)"
    return "(secret)" if secret else value or ""


def _section(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if rows:
        typer.secho(f"\n{title}", bold=True)
        _table(columns, rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        for row in rows:
            typer.echo("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row))
        return
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column in ("queued", "invalid") else "left")
    for row in rows:
        table.add_row(*(Text(cell, style=_STATES.get(cell, "")) for cell in row))
    console.print(table)
