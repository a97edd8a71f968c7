"""Penstock's processors in a NiFi's folder: the code that is installed now, not that of the last start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.deploy.nar import lay_out

if TYPE_CHECKING:
    from pathlib import Path


def put_processors(folder: Path) -> None:
    """Lay the bundle out as a folder of extensions, unless that is there already.

    Raises:
        SetupError: something that belongs into it is not installed here.
    """
    lay_out(_place(folder))


def processors_in(folder: Path) -> frozenset[str]:
    """The names of the processors laid out for a NiFi: each file at the root of the bundle is one."""
    return frozenset(path.stem for path in _place(folder).glob("*.py") if not path.stem.startswith("_"))


def _place(folder: Path) -> Path:
    return folder / "python" / "penstock"
