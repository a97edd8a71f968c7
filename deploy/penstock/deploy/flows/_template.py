"""Where templates are: beside the code in a checkout, inside the package when it is installed, or a file of yours."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

from penstock.deploy.flows._definition import Definition, load, to_text
from penstock.proto.errors import SetupError

_FLOW: Final = "flow.json"
_HERE: Final = Path(__file__).resolve()
_PLACES: Final = (_HERE.parents[1] / "templates", _HERE.parents[4] / "templates")


@dataclass(frozen=True, slots=True)
class Template:
    """A flow definition to make deployments from.

    Attributes:
        name: what a person calls it.
        version: of Penstock for its own templates, empty for a file.
        digest: SHA-256 of the clean definition.
        path: the definition's file.
        definition: clean.
        summary: the first sentence of its page.
    """

    name: str
    version: str
    digest: str
    path: Path
    definition: Definition = field(repr=False)
    summary: str = ""

    def __str__(self) -> str:
        return " ".join((self.name, self.version, f"({self.digest[:12]})")).replace("  ", " ")


def templates() -> tuple[Template, ...]:
    """The templates that come with Penstock, by name."""
    folder = next((place for place in _PLACES if place.is_dir()), None)
    found = sorted(folder.glob(f"*/{_FLOW}")) if folder else []
    return tuple(_template(path, path.parent.name, version("penstock")) for path in found)


def template(name: str | Path, near: Path | None = None) -> Template:
    """The template of that name, or the one in that file or folder.

    Args:
        name: of one of Penstock's templates, or a path to a definition or to a folder with a ``flow.json``.
        near: where a relative path begins.

    Raises:
        SetupError: there is none, or it is not a flow definition.
    """
    path = Path(name) if near is None else near / name
    if path.is_dir() and (path / _FLOW).is_file():
        return _template(path / _FLOW, path.resolve().name, "")
    if path.is_file():
        return _template(path, path.resolve().parent.name if path.name == _FLOW else path.stem, "")
    known = {each.parent.name: each for place in _PLACES for each in place.glob(f"*/{_FLOW}")}
    if str(name) in known:
        return _template(known[str(name)], str(name), version("penstock"))
    choice = f"; there are {', '.join(sorted(known))}" if known else ""
    raise SetupError(f"no template '{name}': neither a name nor a file{choice}")


def of_definition(definition: Definition, name: str, path: Path = Path()) -> Template:
    """A template from a clean definition that is at hand."""
    return Template(name, "", _digest(definition), path, definition)


def _template(path: Path, name: str, its_version: str) -> Template:
    definition = load(path)
    return Template(name, its_version, _digest(definition), path, definition, _summary(path.with_name("README.md")))


def _digest(definition: Definition) -> str:
    return hashlib.sha256(to_text(definition).encode()).hexdigest()


def _summary(page: Path) -> str:
    if not page.is_file():
        return ""
    paragraphs = (part.strip() for part in page.read_text(encoding="utf-8").split("\n\n"))
    first = next((part for part in paragraphs if part and part[0] not in "#!<|`"), "")
    return " ".join(first.split()).partition(". ")[0].rstrip(".")
