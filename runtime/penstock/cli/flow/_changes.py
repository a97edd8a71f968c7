"""The commands that change something."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.flow._login import Address, Name, flows, given_secrets
from penstock.cli.local import Output, Shown

if TYPE_CHECKING:
    from collections.abc import Callable

SpecFile = Annotated[
    Path, typer.Argument(help="The spec; docs/flows.md has one.", show_default=False, exists=True, dir_okay=False)
]
ValuesFile = Annotated[
    Path | None,
    typer.Option(help="Parameters in a TOML file, NAME = value.", show_default=False, exists=True, dir_okay=False),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Undo what people changed on the canvas.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]

_CREATE = """
[bold]Examples[/]

penstock flow create digits --template image-recognition --param service-address=127.0.0.1:5000 --start

penstock flow create scratch

penstock flow create orders --template ./orders.json --file orders-values.toml --secret password=ORDERS_PASSWORD
"""
_APPLY = """
[bold]Examples[/]

penstock flow apply digits.toml --dry-run

penstock flow apply digits.toml
"""
_UPGRADE = """
[bold]Examples[/]

penstock flow upgrade digits --dry-run

penstock flow upgrade digits --to ./image-recognition-2.json
"""
_DELETE = """
[bold]Examples[/]

penstock flow stop digits && penstock flow delete digits

penstock flow delete digits --drop-queued
"""
_START = """
[bold]Examples[/]

penstock flow start digits
"""
_STOP = """
[bold]Examples[/]

penstock flow stop digits
"""


def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Of the new deployment.", show_default=False)],
    *,
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            "-t",
            help="A name from `penstock flow templates`, or a flow definition. [dim]\\[default: an empty group][/]",
            show_default=False,
        ),
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE of a parameter; several times for several.")
    ] = None,
    file: ValuesFile = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME of a sensitive parameter, which is asked for or read from the standard input, or NAME=VARIABLE "
            "of the environment."
        ),
    ] = None,
    start: Annotated[bool, typer.Option("--start", help="Start it when it is made.")] = False,
    parent: Annotated[str, typer.Option(help="Id of the process group to make it in; root is the outermost.")] = "root",
    address: Address = None,
    output: Shown = Output.TEXT,
) -> None:
    """Make a deployment from a template, with parameters of its own."""
    from penstock.cli.flow._tables import show_plain

    parameters = _parameters(file, param or [])
    secrets = given_secrets(secret or [])
    made = flows(context, address, parent).create(name, template, parameters=parameters, secrets=secrets, start=start)
    if output is Output.JSON:
        show_plain(asdict(made))
    else:
        typer.echo(f"'{made.name}' created{' and started' if start else ''}: {made.address}")


def start(context: typer.Context, name: Name, *, address: Address = None) -> None:
    """Enable its services, start all of it, and wait until it runs."""
    flows(context, address).start(name)
    typer.echo(f"'{name}' is running")


def stop(context: typer.Context, name: Name, *, address: Address = None) -> None:
    """Stop all of it, and wait until the last task has ended; what is queued stays."""
    flows(context, address).stop(name)
    typer.echo(f"'{name}' is stopped")


def apply(
    context: typer.Context,
    file: SpecFile,
    *,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    renew_secrets: Annotated[
        bool, typer.Option("--renew-secrets", help="Set secrets again that have a value already.")
    ] = False,
    address: Address = None,
    output: Shown = Output.TEXT,
) -> None:
    """Make what a spec describes, or change it until it is so; what people changed on the canvas is kept."""
    from penstock.cli.flow._tables import outcome_json, show_outcome, show_plain
    from penstock.deploy.flows import load_spec

    spec = load_spec(file)
    outcome = flows(context, address).apply(spec, overwrite=overwrite, renew_secrets=renew_secrets, dry_run=dry_run)
    if output is Output.JSON:
        show_plain(outcome_json(outcome, dry_run=dry_run))
    else:
        show_outcome(outcome, dry_run=dry_run)


def upgrade(
    context: typer.Context,
    name: Name,
    *,
    to: Annotated[
        str | None,
        typer.Option(help="Another template or file. [dim]\\[default: its own template][/]", show_default=False),
    ] = None,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    address: Address = None,
    output: Shown = Output.TEXT,
) -> None:
    """Bring a deployment to the new version of its template; no queued FlowFile is lost."""
    from penstock.cli.flow._tables import outcome_json, show_outcome, show_plain

    outcome = flows(context, address).upgrade(name, to, overwrite=overwrite, dry_run=dry_run)
    if output is Output.JSON:
        show_plain(outcome_json(outcome, dry_run=dry_run))
    else:
        show_outcome(outcome, dry_run=dry_run)


def delete(
    context: typer.Context,
    name: Name,
    *,
    drop_queued: Annotated[
        bool, typer.Option("--drop-queued", help="Also when it runs, or FlowFiles are queued; they are lost.")
    ] = False,
    address: Address = None,
) -> None:
    """Remove a stopped deployment with its controller services and parameters."""
    dropped = flows(context, address).delete(name, drop_queued=drop_queued)
    typer.echo(f"'{name}' deleted{f', and {dropped} FlowFiles with it' if dropped else ''}")


def _parameters(file: Path | None, pairs: list[str]) -> dict[str, str]:
    from penstock.deploy.flows import parameter_values, read_toml
    from penstock.proto.errors import SetupError

    values = parameter_values(read_toml(file), str(file)) if file else {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise SetupError(f"--param takes NAME=VALUE, not '{pair}'")
        values[name] = value
    return values


COMMANDS: tuple[tuple[Callable[..., None], str], ...] = (
    (create, _CREATE),
    (apply, _APPLY),
    (upgrade, _UPGRADE),
    (start, _START),
    (stop, _STOP),
    (delete, _DELETE),
)
