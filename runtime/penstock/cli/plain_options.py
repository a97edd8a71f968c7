"""Reads a command line of plain options without Typer, whose import would be a sixth of a start.

Plain is ``--name value`` or ``--name=value``, each option once and each value of its type. Anything else is left to
Typer, which reads these in the same way: so help and errors have one place, and the options one definition.
"""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# By the first word of an annotation such as ``Annotated[int, typer.Option(help="…")]``, which is text until Typer asks.
_KINDS: Final[Mapping[str, Callable[[str], Any]]] = {
    "Path": Path,
    "Path | None": Path,
    "float": float,
    "int": int,
    "str": str,
}


def read(command: Callable[..., None], arguments: Sequence[str]) -> dict[str, Any] | None:
    """What to call ``command`` with; None where Typer has to look.

    Args:
        command: its parameters are options, annotated as Typer takes them.
        arguments: behind the command's name.
    """
    parameters = signature(command).parameters
    options: dict[str, Any] = {}
    rest = iter(arguments)
    for argument in rest:
        option, equals, value = argument.partition("=")
        name = option.removeprefix("--").replace("-", "_")
        if option != _option(name) or name not in parameters or name in options:
            return None
        text = value if equals else next(rest, "")
        if not text or text.startswith("-"):
            return None
        try:
            options[name] = _kind(parameters[name].annotation)(text)
        except (KeyError, ValueError):
            return None
    missing = any(one.default is one.empty and name not in options for name, one in parameters.items())
    return None if missing else options


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _kind(annotation: str) -> Callable[[str], Any]:
    return _KINDS[annotation.removeprefix("Annotated[").partition(",")[0]]
