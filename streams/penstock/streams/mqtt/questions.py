"""What ``penstock mqtt ask`` asks: requests from arguments, JSON and CSV files."""

from __future__ import annotations

import csv
import json
import sys
from collections import deque
from typing import TYPE_CHECKING, Final

from penstock.proto import PayloadError, SetupError
from penstock.streams.forecast.windows import WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    Row = dict[str, str]

_NAMES: Final = tuple(f"norm_{number}" for number in range(1, WINDOW + 1))
_SERIES: Final = ("station_id", "parameter_id")


def questions(file: Path, column: str = "norm_value") -> Iterator[bytes]:
    """The requests that a file holds, one by one, so that a file may be longer than memory.

    Args:
        file: CSV, a JSON list, or anything else with one request on each line; ``-`` is standard input, by lines.
        column: of a CSV of readings: the normalised values.

    Raises:
        SetupError: the file cannot be read. PayloadError: a line of it is no request.
    """
    if str(file) == "-":
        yield from _lines(sys.stdin)
        return
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            match file.suffix:
                case ".csv":
                    yield from _rows(file, csv.DictReader(opened), column)
                case ".json":
                    yield from _list(file, opened.read())
                case _:
                    yield from _lines(opened)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SetupError(f"{file}: cannot be read: {error}", code="BAD_FILE") from None


def _lines(lines: Iterable[str]) -> Iterator[bytes]:
    return (line.strip().encode() for line in lines if line.strip())


def _list(file: Path, text: str) -> Iterator[bytes]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise PayloadError(f"{file}: is no JSON: {error}", code="INVALID_JSON") from None
    for each in found if isinstance(found, list) else [found]:
        yield json.dumps(each).encode()


def _rows(file: Path, rows: csv.DictReader[str], column: str) -> Iterator[bytes]:
    """Rows that are windows already, or readings, of which each series has its own windows."""
    names = rows.fieldnames or ()
    if set(_NAMES) <= set(names):
        for row in rows:
            yield _window(_numbers(file, rows.line_num, [row[name] for name in _NAMES]))
        return
    if column not in names:
        raise SetupError(
            f"{file}: has no column {column}, but {', '.join(names)}; name one by --column", code="BAD_FILE"
        )
    series: dict[tuple[str | None, ...], deque[float]] = {}
    for row in rows:
        last = series.setdefault(tuple(row.get(name) for name in _SERIES), deque(maxlen=WINDOW))
        last.appendleft(*_numbers(file, rows.line_num, [row[column]]))
        if len(last) == WINDOW:
            yield _window(last)


def _numbers(file: Path, line: int, texts: Sequence[str]) -> list[float]:
    try:
        return [float(text) for text in texts]
    except (TypeError, ValueError):
        raise PayloadError(f"{file}: line {line} has no number: {texts!r:.80}", code="NO_NUMBER") from None


def _window(values: Iterable[float]) -> bytes:
    return json.dumps(dict(zip(_NAMES, values, strict=True))).encode()
