"""``penstock flow``: flows on a NiFi's canvas, made from templates and kept like a spec says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    import typer

    from penstock.cli.flow import _changes, _login, _looks

    group = typer.Typer(
        no_args_is_help=True,
        help="Flows on NiFi's canvas: create, list, show, start, stop, diff, apply, upgrade, delete.",
        epilog=_login.EPILOG,
    )
    group.callback()(_login.login)
    for module in (_looks, _changes):
        for command, epilog in module.COMMANDS:
            group.command(command.__name__.rstrip("_"), epilog=epilog)(command)
    app.add_typer(group, name="flow")
