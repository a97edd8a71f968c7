"""The ``penstock`` command. Each command is a module of this package, and imports what it needs when it is used."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from penstock.proto.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import typer

_GROUPS = ("serve", "predict", "stream", "forecast", "kafka", "dlq", "trace", "mqtt", "nifi", "flow", "demo")


def build(groups: Sequence[str] = _GROUPS) -> typer.Typer:
    """The command line with ``groups`` registered."""
    import typer

    app = typer.Typer(
        name="penstock",
        help="Runs models where the data already flows.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_nothing)  # without it, a single command would be taken for the whole
    for group in groups:
        import_module(f"penstock.cli.{group}").register(app)
    return app


def _nothing() -> None:
    """Do what stands before the command: nothing."""


def main() -> None:
    """Run the command line; an expected error is one line on stderr and exit code 1."""
    # Where the group is named, the others need not be made: a fifth of the time in which `penstock serve` starts.
    named = [group for group in _GROUPS if group in sys.argv[1:2]]
    try:
        build(named or _GROUPS)()
    except PenstockError as error:
        _fail(error.message)
    except ModuleNotFoundError as error:
        # The base install is the codec and the client; a command may need more.
        if (error.name or "penstock").startswith("penstock"):
            raise
        _fail(f"this command needs {error.name}, which is not installed: pip install 'penstock[all]'")


def _fail(message: str) -> None:
    label = "\x1b[1;31merror:\x1b[0m" if sys.stderr.isatty() else "error:"
    sys.stderr.write(f"{label} {message}\n")
    sys.exit(1)
