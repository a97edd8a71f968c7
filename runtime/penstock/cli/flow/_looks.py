"""The commands that only look."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.flow._login import Address, Name, flows
from penstock.cli.local import Output, Shown

if TYPE_CHECKING:
    from collections.abc import Callable

To = Annotated[
    Path | None, typer.Option(help="A file. [dim]\\[default: standard output][/]", show_default=False, dir_okay=False)
]
Other = Annotated[
    Path | None, typer.Argument(help="A flow definition to compare with.", show_default=False, exists=True)
]

_LIST = """
[bold]Examples[/]

penstock flow list

penstock flow list --output json | jq -r '.[] | select(.queued > 0) | .name'
"""
_SHOW = """
[bold]Examples[/]

penstock flow show digits

penstock flow show digits --output json | jq .queues
"""
_EXPORT = """
[bold]Examples[/]

penstock flow export digits --to digits.json

penstock flow export digits | git diff --no-index templates/image-recognition/flow.json -
"""
_DIFF = """
[bold]Examples[/]

penstock flow diff digits

penstock flow diff digits digits.json
"""
_OPEN = """
[bold]Examples[/]

penstock flow open digits

xdg-open $(penstock flow open digits)
"""
_TEMPLATES = """
[bold]Examples[/]

penstock flow templates
"""


def list_(context: typer.Context, *, address: Address = None, output: Shown = Output.TEXT) -> None:
    """List the deployments: name, state, queued FlowFiles, invalid components, bulletins, template."""
    from penstock.cli.flow._tables import show_plain, show_summaries

    found = flows(context, address).list()
    if output is Output.JSON:
        show_plain([asdict(each) for each in found])
    else:
        show_summaries(found)


def show(context: typer.Context, name: Name, *, address: Address = None, output: Shown = Output.TEXT) -> None:
    """Show a deployment: processors and what is wrong with them, queues, bulletins, parameters without secrets."""
    from penstock.cli.flow._tables import show_details, show_plain

    found = flows(context, address).show(name)
    if output is Output.JSON:
        show_plain(asdict(found))
    else:
        show_details(found)


def export(
    context: typer.Context,
    name: Name,
    *,
    to: To = None,
    address: Address = None,
) -> None:
    """Print the flow as it is on the canvas, as a definition that NiFi imports; the same flow gives the same bytes."""
    from penstock.deploy.flows import to_text

    text = to_text(flows(context, address).export(name))
    if to is None:
        typer.echo(text, nl=False)
    else:
        _write(to, text)


def diff(
    context: typer.Context,
    name: Name,
    file: Other = None,
    *,
    address: Address = None,
    output: Shown = Output.TEXT,
) -> None:
    """Show what was changed on the canvas since the deployment was made, or what differs from a file."""
    from penstock.cli.flow._tables import show_changes, show_plain

    found = flows(context, address).diff(name, file)
    if output is Output.JSON:
        show_plain([asdict(each) for each in found])
        return
    show_changes(found)
    if not found:
        typer.echo("no difference", err=True)


def open_(context: typer.Context, name: Name, *, address: Address = None) -> None:
    """Print the address of its canvas."""
    typer.echo(flows(context, address).address_of(name))


def templates(*, output: Shown = Output.TEXT) -> None:
    """List the templates that come with Penstock."""
    from penstock.cli.flow._tables import show_plain
    from penstock.deploy.flows import templates as known

    found = known()
    if output is Output.JSON:
        shown = ("name", "version", "digest", "path", "summary")
        show_plain([{name: str(getattr(each, name)) for name in shown} for each in found])
        return
    width = max((len(each.name) for each in found), default=0)
    for each in found:
        typer.echo(f"{typer.style(each.name.ljust(width), bold=True)}  {each.summary}")


def _write(path: Path, text: str) -> None:
    from penstock.proto.errors import SetupError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SetupError(f"cannot write {path}: {error.strerror}") from None


COMMANDS: tuple[tuple[Callable[..., None], str], ...] = (
    (list_, _LIST),
    (show, _SHOW),
    (diff, _DIFF),
    (export, _EXPORT),
    (open_, _OPEN),
    (templates, _TEMPLATES),
)
