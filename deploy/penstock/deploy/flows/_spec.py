"""The declarative spec of a deployment, a TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from penstock.proto.errors import SetupError

_TOP: Final = ("name", "template", "running", "parameters", "secrets", "processors", "services")
_OVERRIDES: Final = ("tasks", "schedule", "run-duration", "properties")


@dataclass(frozen=True, slots=True)
class Override:
    """What a processor or service gets instead of what the template says; None is as the template says.

    Attributes:
        tasks: concurrent tasks.
        schedule: how often it runs, such as ``10 sec``, or a CRON expression where the template has one.
        run_duration: milliseconds that one task may go on before it yields.
        properties: by NiFi's name of the property; None takes a value away.
    """

    tasks: int | None = None
    schedule: str | None = None
    run_duration: int | None = None
    properties: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spec:
    """What a deployment should be.

    Attributes:
        name: of the deployment, and of its group on the canvas.
        template: a name, or a path; a relative one begins in ``folder``.
        running: whether it should run; None leaves that alone.
        parameters: values by name; the others are as the template says.
        secrets: sensitive parameters, each with the name of the environment variable that holds its value.
        processors: by name, or by ``group/name`` inside of groups.
        services: controller services, likewise; they have properties only.
        folder: of the spec's file.
    """

    name: str
    template: str
    running: bool | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    processors: dict[str, Override] = field(default_factory=dict)
    services: dict[str, Override] = field(default_factory=dict)
    folder: Path = Path()


def load_spec(path: Path) -> Spec:
    """Read a spec.

    Raises:
        SetupError: it cannot be read, or says something that means nothing; the message names the place.
    """
    return parse_spec(read_toml(path), path)


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file.

    Raises:
        SetupError: it cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SetupError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise SetupError(f"{path} is no TOML: {error}") from None


def parse_spec(data: dict[str, Any], path: Path) -> Spec:
    """A spec from what a TOML file says; errors as for ``load_spec``."""
    _only(data, _TOP, str(path))
    running = data.get("running")
    if running is not None and not isinstance(running, bool):
        raise SetupError(f"{path}: running is true or false")
    return Spec(
        name=_text(data.get("name"), f"{path}: name"),
        template=_text(data.get("template"), f"{path}: template"),
        running=running,
        parameters=parameter_values(data.get("parameters", {}), f"{path}: parameters"),
        secrets={
            name: _text(each, f"{path}: secrets.{name} (the name of an environment variable)")
            for name, each in _table(data.get("secrets", {}), f"{path}: secrets").items()
        },
        processors=_overrides(data.get("processors", {}), f"{path}: processors", _OVERRIDES),
        services=_overrides(data.get("services", {}), f"{path}: services", ("properties",)),
        folder=path.parent,
    )


def parameter_values(table: Any, where: str) -> dict[str, str]:
    """Values as NiFi has them: text. A number or a truth value is written as TOML writes it."""
    return {name: _value(each, f"{where}.{name}") for name, each in _table(table, where).items()}


def _overrides(table: Any, where: str, known: tuple[str, ...]) -> dict[str, Override]:
    found = {}
    for name, each in _table(table, where).items():
        place = f"{where}.{name}"
        _only(_table(each, place), known, place)
        properties = _table(each.get("properties", {}), f"{place}.properties")
        found[name] = Override(
            tasks=_number(each.get("tasks"), f"{place}.tasks", least=1),
            schedule=_text(each["schedule"], f"{place}.schedule") if "schedule" in each else None,
            run_duration=_number(each.get("run-duration"), f"{place}.run-duration", least=0),
            properties={key: _value(value, f"{place}.properties.{key}") for key, value in properties.items()},
        )
    return found


def _only(table: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in table:
        if name not in known:
            raise SetupError(f"{where}: unknown key '{name}'; there are {', '.join(known)}")


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SetupError(f"{where} is a table")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SetupError(f"{where} is missing, or no text")
    return value


def _value(value: Any, where: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise SetupError(f"{where} is a text, a number, true or false")


def _number(value: Any, where: str, *, least: int) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise SetupError(f"{where} is a whole number from {least} on")
    return value
