"""A prediction as a person reads it in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from rich.console import Console, Group
from rich.json import JSON
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from penstock.proto import Kind, encode_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from penstock.client import Prediction
    from penstock.proto import Payload

_MOST_ROWS: Final = 20
_MOST_COLUMNS: Final = 16
_LONGEST_TEXT: Final = 4_000


def show_prediction(prediction: Prediction) -> None:
    """Print the payload, and below it in one line what is known about the prediction."""
    console = Console(highlight=False)
    console.print(_drawn(prediction.payload))
    console.print(f"[dim]{escape(_about(prediction))}[/]")


def _drawn(payload: Payload) -> RenderableType:
    if payload.kind.is_array and payload.array.ndim in (1, 2) and payload.array.size:
        return _table(payload)
    if payload.kind is Kind.BIN_DATA:
        return Text(f"{len(payload.value):,} bytes; send them into a file or pipe to keep them")
    text = encode_text(payload)
    if len(text) > _LONGEST_TEXT:
        return Text(f"{text[:_LONGEST_TEXT]} … ({len(text):,} characters)")
    return Text(text) if payload.kind is Kind.STR_DATA else JSON(text)


def _table(payload: Payload) -> RenderableType:
    """Rows as rows; a list of single values as one column."""
    array = payload.array if payload.array.ndim == 2 else payload.array[:, np.newaxis]
    rows, columns = array.shape
    names = payload.names if len(payload.names) == columns else [str(index) for index in range(columns)]
    table = Table(header_style="bold")
    for name in names[:_MOST_COLUMNS]:
        table.add_column(Text(name), justify="right")
    for row in array[:_MOST_ROWS, :_MOST_COLUMNS]:
        table.add_row(*(Text(_cell(value)) for value in row.tolist()))
    if rows <= _MOST_ROWS and columns <= _MOST_COLUMNS:
        return table
    return Group(table, f"the beginning of {rows:,} rows and {columns:,} columns; --output plain has all")


def _cell(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _about(prediction: Prediction) -> str:
    model = " ".join(part for part in (prediction.model, prediction.version) if part)
    tags = ", ".join(f"{key}={value}" for key, value in prediction.tags.items())
    puid = f"puid {prediction.puid}" if prediction.puid else ""
    parts = (model, tags, puid, f"{prediction.elapsed * 1000:.1f} ms")
    return " · ".join(part for part in parts if part)
