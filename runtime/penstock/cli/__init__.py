"""The ``penstock`` command. Each command is a module of this package, imported when it is used."""

from __future__ import annotations

import sys
from importlib import import_module

import typer
from rich.console import Console
from rich.markup import escape

from penstock.proto.errors import PenstockError

_GROUPS = ("serve", "predict", "stream", "kafka", "demo")


def build() -> typer.Typer:
    """The command line with every group registered."""
    app = typer.Typer(
        name="penstock",
        help="Runs models where the data already flows.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for group in _GROUPS:
        import_module(f"penstock.cli.{group}").register(app)
    return app


def main() -> None:
    """Run the command line; an expected error is one line on stderr and exit code 1."""
    try:
        build()()
    except PenstockError as error:
        Console(stderr=True, highlight=False).print(f"[bold red]error:[/] {escape(error.message)}", soft_wrap=True)
        sys.exit(1)
