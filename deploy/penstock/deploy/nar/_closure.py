"""Which distributions the processors need, read from what is installed."""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

PENSTOCK: Final = "penstock"
_EXTRA: Final = "processors"


def requirements() -> list[Distribution]:
    """Every distribution that Penstock's processors need, themselves excluded, sorted by name.

    Raises:
        SetupError: one of them is not installed here.
    """
    found: dict[str, Distribution] = {}
    wanted = [(PENSTOCK, frozenset({_EXTRA}))]
    asked = set(wanted)
    while wanted:
        name, extras = wanted.pop()
        found[name] = _installed(name)
        more = set(_required(found[name], extras)) - asked
        asked |= more
        wanted += more
    return [found[name] for name in sorted(found) if name != PENSTOCK]


def _installed(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise SetupError(
            f"the processors need {name}, which is not installed here: pip install 'penstock[{_EXTRA}]'"
        ) from None


def _required(found: Distribution, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    for requirement in map(Requirement, found.requires or ()):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield canonicalize_name(requirement.name), frozenset(requirement.extras)
