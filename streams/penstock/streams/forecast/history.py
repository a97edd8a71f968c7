"""Readings of the past, from a file of CSV with a header: to train with, and to send."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from penstock.proto import PayloadError, SetupError
from penstock.streams.pointers import Pointer

from .readings import reading_of
from .spec import Fields

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .readings import Reading


def history(file: Path, names: Mapping[str, str]) -> list[Reading]:
    """The readings of a file, in its order.

    Args:
        file: CSV; the first line names the columns.
        names: of the columns with station, parameter, time and value.

    Raises:
        SetupError: ``BAD_HISTORY``, with the line.
    """
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{file}: cannot be read: {error}", code="BAD_HISTORY") from None
    columns = tuple(next(csv.reader(lines[:1]), []))
    for part, name in names.items():
        if name not in columns:
            told = ", ".join(columns) or "none"
            raise SetupError(f"{file}: has no column {name!r} for the {part}; it has {told}", code="BAD_HISTORY")
    pointers = {part: Pointer((name,)) for part, name in names.items()}
    fields = Fields(**pointers, columns=columns)
    readings = []
    for number, line in enumerate(lines[1:], 2):
        try:
            readings.append(reading_of(fields, line.encode()))
        except PayloadError as error:
            raise SetupError(f"{file}, line {number}: {error.message}", code="BAD_HISTORY") from None
    return readings
