"""The ``penstock`` command. Each command is a module of this package, and imports what it needs when it is used."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    import typer

_GROUPS = ("serve", "predict", "stream", "forecast", "kafka", "dlq", "trace", "mqtt", "nifi", "flow", "demo")
# Of 70,000 objects that a service makes to start almost all stay: to look for others among them ten times and more
# took a twentieth of the start.
_OBJECTS_OF_A_START: Final = 100_000
# As shells tell an end by SIGINT.
_INTERRUPTED: Final = 130


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
    if sys.argv[1:2] == ["serve"]:
        gc.set_threshold(_OBJECTS_OF_A_START)  # until the service is ready, which sets its own
    from penstock.proto.errors import PenstockError

    try:
        _run(sys.argv[1:])
    except PenstockError as error:
        _fail(error.message)
    except ModuleNotFoundError as error:
        # The base install is the codec and the client; a command may need more.
        if (error.name or "penstock").startswith("penstock"):
            raise
        _fail(f"this command needs {error.name}, which is not installed: pip install 'penstock[all]'")
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _run(arguments: Sequence[str]) -> None:
    if arguments[:1] == ["serve"]:
        from .plain_options import read
        from .serve import serve

        options = read(serve, arguments[1:])
        if options is not None:
            serve(**options)
            return
    # Where the group is named, the others need not be made.
    named = [group for group in _GROUPS if group in arguments[:1]]
    build(named or _GROUPS)()


def _fail(message: str) -> None:
    label = "\x1b[1;31merror:\x1b[0m" if sys.stderr.isatty() else "error:"
    sys.stderr.write(f"{label} {message}\n")
    sys.exit(1)
