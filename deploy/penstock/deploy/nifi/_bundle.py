"""Puts Penstock's processors into a NiFi's folder: the code that is installed now, not that of the last start."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def put_processors(folder: Path) -> None:
    """Lay the bundle out anew, beside the old one that it then replaces."""
    try:
        from penstock.deploy.nar import lay_out
    except ImportError:
        return

    place = _place(folder)
    part = place.with_name("penstock.part")
    for old in (part, place.with_name("penstock.old")):
        shutil.rmtree(old, ignore_errors=True)
    lay_out(part)
    if place.exists():
        place.replace(place.with_name("penstock.old"))
    part.replace(place)
    shutil.rmtree(place.with_name("penstock.old"), ignore_errors=True)


def processors_in(folder: Path) -> frozenset[str]:
    """The names of the processors laid out for a NiFi: each file at the root of the bundle is one."""
    return frozenset(path.stem for path in _place(folder).glob("*.py") if not path.stem.startswith("_"))


def _place(folder: Path) -> Path:
    return folder / "python" / "penstock"
