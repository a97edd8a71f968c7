"""One table of a spec file, read key by key: each wrong value is told with file, key and what is allowed."""

from __future__ import annotations

from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.proto import SetupError

if TYPE_CHECKING:
    from collections.abc import Sequence

_REQUIRED: Any = object()


class Table:
    """The keys of one table; `close` tells of those that nobody has asked for."""

    def __init__(self, file: Path, name: str, values: Any) -> None:
        self._file = file
        self._name = name
        if not isinstance(values, dict):
            raise self.error("", f"is a table; write it as [{name}]")
        self._values: dict[str, Any] = values
        self._known: set[str] = set()

    def error(self, key: str, rule: str) -> SetupError:
        """The error for a key that breaks ``rule``."""
        where = ".".join(part for part in (self._name, key) if part)
        return SetupError(f"{self._file}: {where} {rule}", code="BAD_SPEC")

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def table(self, key: str) -> Table:
        """The table under ``key``; an empty one where it is not there."""
        self._known.add(key)
        return Table(self._file, f"{self._name}.{key}" if self._name else key, self._values.get(key, {}))

    def names(self) -> tuple[str, ...]:
        """What is there, for a table whose keys are names of the user's own."""
        return tuple(self._values)

    def text(self, key: str, default: str = _REQUIRED) -> str:
        """A text that is not empty."""
        value = self._take(key, default)
        if value == "" == default:
            return ""
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, f"is a text, not {_shown(value)}")
        return str(value)

    def choice(self, key: str, allowed: Sequence[str], default: str = _REQUIRED) -> str:
        """One of ``allowed``."""
        value = self.text(key, default)
        if value is not default and value not in allowed:
            raise self.error(key, f"is {value!r}; allowed are {', '.join(allowed)}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; one text counts as a list of one."""
        value = self._take(key, ())
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) and item for item in value):
            raise self.error(key, f"is a text or a list of texts, not {_shown(value)}")
        return tuple(value)

    def whole(self, key: str, default: int, *, least: int = 1) -> int:
        """A whole number."""
        value = self._take(key, default)
        if type(value) is not int or value < least:
            raise self.error(key, f"is a whole number, {least} or more, not {_shown(value)}")
        return value

    def seconds(self, key: str, default: float, *, least: float, most: float) -> float:
        """A number of seconds."""
        value = self._take(key, default)
        if type(value) not in (int, float) or not least <= value <= most:
            raise self.error(key, f"is a number of seconds from {least:g} to {most:g}, not {_shown(value)}")
        return float(value)

    def number(self, key: str, default: float = _REQUIRED, *, above: float = -inf, below: float = inf) -> float:
        """A finite number between two others."""
        value = self._take(key, default)
        if type(value) not in (int, float) or not above < value < below:
            between = f" above {above:g}" * (above > -inf) + f" below {below:g}" * (below < inf)
            raise self.error(key, f"is a number{between}, not {_shown(value)}")
        return float(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """Yes or no."""
        value = self._take(key, default)
        if type(value) is not bool:
            raise self.error(key, f"is true or false, not {_shown(value)}")
        return value

    def path(self, key: str) -> Path | None:
        """A file or folder that is there, relative to the spec file; None where nothing is said."""
        text = self.text(key, "")
        if not text:
            return None
        path = self._file.parent / Path(text).expanduser()
        if not path.exists():
            raise self.error(key, f"is {text!r}, but there is no {path}")
        return path

    def close(self) -> None:
        """Raise where there are keys that nobody knows."""
        for key in self._values:
            if key not in self._known:
                close = get_close_matches(key, self._known, 1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise self.error(key, f"is not a key here{hint} Allowed are {', '.join(sorted(self._known))}")

    def _take(self, key: str, default: Any) -> Any:
        self._known.add(key)
        if key in self._values:
            return self._values[key]
        if default is _REQUIRED:
            raise self.error(key, "is missing")
        return default


def _shown(value: Any) -> str:
    return f"{value!r:.60}"
