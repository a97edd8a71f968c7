"""``penstock kafka``: real Kafka on this machine, for trying out and for tests; and the topics of any Kafka."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.local import NOT_RUNNING, Output, Shown, age, refuse_windows, show_json, show_rows
from penstock.cli.topics._consuming import CONSUME, consume
from penstock.cli.topics._listing import LAG, TOPICS, lag, topics
from penstock.cli.topics._producing import PRODUCE, produce

if TYPE_CHECKING:
    from penstock.deploy.kafka import Broker, BrokerStatus

_UP = """
[bold]Examples[/]

penstock kafka up

penstock kafka up --port 0 --output json | jq -r .address

penstock kafka up --data ./kafka --port 29092
"""
_STATUS = """
[bold]Examples[/]

penstock kafka status

penstock kafka status > /dev/null || penstock kafka up
"""
_DOWN = """
[bold]Examples[/]

penstock kafka down

penstock kafka down --data ./kafka
"""


Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        "-d",
        help="The broker's folder; each folder is a broker of its own. [dim]\\[default: kafka/default in "
        "Penstock's part of your data folder][/]",
        show_default=False,
        file_okay=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(
        no_args_is_help=True, help="A local Kafka: up, status, down; topics of any: topics, produce, consume, lag."
    )
    group.command("up", epilog=_UP)(up)
    group.command("status", epilog=_STATUS)(status)
    group.command("down", epilog=_DOWN)(down)
    group.command("topics", epilog=TOPICS)(topics)
    group.command("produce", epilog=PRODUCE)(produce)
    group.command("consume", epilog=CONSUME)(consume)
    group.command("lag", epilog=LAG)(lag)
    app.add_typer(group, name="kafka")


def up(
    *,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            "-p",
            help="Where clients connect; 0 takes a free one. [dim]\\[default: 19092][/]",
            show_default=False,
            min=0,
            max=65535,
        ),
    ] = None,
    data: Data = None,
    output: Shown = Output.TEXT,
) -> None:
    """Start a broker that stays, and wait until it serves.

    The first start fetches Kafka (44 MB). It is reachable from this machine only.
    A partition keeps at most 1 GB and three days. A broker that already runs is left as it is.
    """
    _show(_broker(data).up(port), output)


def status(*, data: Data = None, output: Shown = Output.TEXT) -> None:
    """Show address, process, age, version and folder; exit code 3 when it does not run."""
    found = _broker(data).status()
    _show(found, output)
    if found.state != "running":
        raise typer.Exit(NOT_RUNNING)


def down(*, data: Data = None, output: Shown = Output.TEXT) -> None:
    """Stop the broker and wait until it is gone; its topics stay for the next start."""
    _show(_broker(data).down(), output)


def _broker(data: Path | None) -> Broker:
    refuse_windows("broker")
    from rich.console import Console

    from penstock.deploy.kafka import Broker

    return Broker(data, console=Console(stderr=True, highlight=False))


def _show(found: BrokerStatus, output: Output) -> None:
    if output is Output.JSON:
        show_json(found)
        return
    rows = [("state", found.state), ("folder", str(found.data))]
    if found.pid is not None:
        process = [("address", found.address), ("version", found.version), ("pid", str(found.pid))]
        rows[1:1] = [*process, ("uptime", age(found.uptime))]
    if found.state in ("died", "not answering"):
        rows.append(("log", str(found.log)))
    show_rows(rows)
