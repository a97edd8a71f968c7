"""``penstock nifi``: real NiFi on this machine with Penstock's processors, and these processors for other NiFis."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.flow._login import Address, login
from penstock.cli.local import NOT_RUNNING, Output, Shown, age, refuse_windows, show_json, show_rows

if TYPE_CHECKING:
    from penstock.deploy.nifi import NiFi, NiFiStatus

_UP = """
[bold]Examples[/]

penstock nifi up

penstock nifi up --port 0 --output json | jq -r .address

penstock nifi up --data ./nifi --port 28080
"""
_STATUS = """
[bold]Examples[/]

penstock nifi status

penstock nifi status > /dev/null || penstock nifi up
"""
_DOWN = """
[bold]Examples[/]

penstock nifi down

penstock nifi down --data ./nifi
"""
_LOGS = """
[bold]Examples[/]

penstock nifi logs

penstock nifi logs --lines 500 | grep ERROR

penstock nifi logs --follow
"""

_INSTALL = """
[bold]Examples[/]

penstock nifi --user admin --ca-file ca.pem install --address https://nifi.example:8443

penstock nifi install my-processors-1.0.nar

uv run --python 3.12 penstock nifi install --address https://nifi.example:8443
"""

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        "-d",
        help="NiFi's folder; each folder is a NiFi of its own. [dim]\\[default: nifi/default in "
        "Penstock's part of your data folder][/]",
        show_default=False,
        file_okay=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="A local NiFi: up, status, logs, down; install for other ones.")
    group.callback()(login)
    group.command("up", epilog=_UP)(up)
    group.command("status", epilog=_STATUS)(status)
    group.command("logs", epilog=_LOGS)(logs)
    group.command("down", epilog=_DOWN)(down)
    group.command("install", epilog=_INSTALL)(install)
    app.add_typer(group, name="nifi")


def up(
    *,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            "-p",
            help="Of the canvas and the REST API; 0 takes a free one. [dim]\\[default: 18080][/]",
            show_default=False,
            min=0,
            max=65535,
        ),
    ] = None,
    data: Data = None,
    output: Shown = Output.TEXT,
) -> None:
    """Start a NiFi that stays, with Penstock's processors on its list, and wait until it serves.

    The first start fetches NiFi (191 MB). It is reachable from this machine only, by everybody on it.
    A NiFi that already runs is left as it is.
    """
    _show(_nifi(data).up(port), output)


def status(*, data: Data = None, output: Shown = Output.TEXT) -> None:
    """Show canvas, process, age, memory, version and folder; exit code 3 when it does not run."""
    found = _nifi(data).status()
    _show(found, output)
    if found.state != "running":
        raise typer.Exit(NOT_RUNNING)


def logs(
    *,
    lines: Annotated[int, typer.Option("--lines", "-n", help="So many of the last lines.", min=0)] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="And what comes, until Ctrl-C.")] = False,
    data: Data = None,
) -> None:
    """Print the end of NiFi's log."""
    with suppress(KeyboardInterrupt):  # the way to end it
        for line in _nifi(data).logs(lines, follow=follow):
            typer.echo(line)


def down(*, data: Data = None, output: Shown = Output.TEXT) -> None:
    """Stop NiFi and wait until it is gone; its flow and what is queued in it stay for the next start."""
    _show(_nifi(data).down(), output)


def install(
    context: typer.Context,
    nar: Annotated[
        Path | None,
        typer.Argument(
            help="A NAR. [dim]\\[default: Penstock's processors, for this version of Python][/]",
            show_default=False,
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    *,
    address: Address = None,
    output: Shown = Output.TEXT,
) -> None:
    """Put processors on a NiFi that runs, without access to its disk, and wait until they are on its list.

    Needs NiFi 2. How to log in is said before `install`, or in the environment, as for `penstock flow`.
    """
    from tempfile import TemporaryDirectory

    from penstock.deploy.canvas import connect
    from penstock.deploy.nar import build
    from penstock.deploy.nifi import install as put

    connection = connect(address, context.obj())
    with TemporaryDirectory(prefix="penstock-nar-") as folder:
        done = put(connection, nar or build(Path(folder)))
    if output is Output.JSON:
        typer.echo(json.dumps(asdict(done)))
    else:
        show_rows([("address", done.address), ("nar", done.nar), ("offers", ", ".join(done.processors))])


def _nifi(data: Path | None) -> NiFi:
    refuse_windows("NiFi")
    from rich.console import Console

    from penstock.deploy.nifi import NiFi

    return NiFi(data, console=Console(stderr=True, highlight=False))


def _show(found: NiFiStatus, output: Output) -> None:
    if output is Output.JSON:
        show_json(found)
        return
    rows = [("state", found.state), ("folder", str(found.data))]
    if found.pid is not None:
        from rich.filesize import decimal

        process = [("address", found.address), ("canvas", f"{found.address}/nifi"), ("version", found.version)]
        process += [("pid", str(found.pid)), ("uptime", age(found.uptime)), ("memory", decimal(found.memory))]
        rows[1:1] = process
    if found.state in ("died", "not answering"):
        rows.append(("log", str(found.log)))
    show_rows(rows)
