"""Rows: a table in a terminal, lines with tabs in a pipe, and progress for what takes long."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def show_table(
    names: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = (), folded: str = ""
) -> None:
    """Print rows; the columns named in ``right`` are numbers, and ``folded`` is the one that may take several lines."""
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        table.add_column(name, justify="right" if name in right else "left", no_wrap=name != folded, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def show_object(found: Any) -> None:
    """Print it as one JSON value on one line."""
    typer.echo(json.dumps(found, ensure_ascii=False))


def say(text: str) -> None:
    """A remark beside the output: on stderr."""
    typer.echo(text, err=True)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A line on a terminal's stderr that renews itself, and is gone at the end; takes what is done and all there is."""
    if not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], None]]:
    """The same for work whose end is not known: takes what is done."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.status import Status

    with Status("", console=Console(stderr=True)) as status:
        yield lambda done: status.update(f"{done:,} {what}")
