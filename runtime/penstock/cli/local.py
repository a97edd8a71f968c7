"""What the commands of the servers on this machine share: the forms of their answers, and their exit code."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

NOT_RUNNING = 3  # exit code of `status`, as init scripts have it


class Output(StrEnum):
    """How the answer is shown."""

    TEXT = "text"
    JSON = "json"


Shown = Annotated[Output, typer.Option("--output", "-o", help="json is one object on one line.")]


def refuse_windows(what: str) -> None:
    """Say at once that a local server cannot run here, rather than fail somewhere inside.

    Raises:
        SetupError: this is Windows.
    """
    if sys.platform == "win32":
        from penstock.proto.errors import SetupError

        raise SetupError(f"the local {what} needs Linux or macOS; on Windows use it inside WSL")


def show_json(found: Any) -> None:
    """Print a status as one object on one line."""
    typer.echo(json.dumps(asdict(found) | {"uptime": round(found.uptime, 1)}, default=str))


def show_rows(rows: Iterable[tuple[str, str]]) -> None:
    """Print a line for each name and value."""
    for name, value in rows:
        typer.echo(f"{typer.style(f'{name:8}', dim=True)} {value}")


def age(seconds: float) -> str:
    """A time span for people: ``1:02:03``."""
    return str(timedelta(seconds=int(seconds)))
