"""The result as a picture: a bar for each contestant, of records per second."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAMES, _BARS, _NUMBERS, _LINE, _HEIGHT = 330, 400, 90, 26, 16
_OURS, _THEIRS = "#2563eb", "#9ca3af"


def chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """An SVG; the scale begins at 0."""
    most = max(row["records_per_second"] for row in rows)
    bars = "".join(_bar(at, row, _BARS / most) for at, row in enumerate(rows))
    width, height = _NAMES + _BARS + _NUMBERS, _LINE * len(rows) + 10
    style = "font-family='sans-serif' font-size='12'"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' {style}>"
        f"<rect width='100%' height='100%' fill='white'/>{bars}</svg>\n"
    )


def _bar(at: int, row: Mapping[str, Any], scale: float) -> str:
    top, text = _LINE * at + 8, _LINE * at + 20
    length = row["records_per_second"] * scale
    colour = _OURS if row["name"].startswith("penstock") else _THEIRS
    return (
        f"<text x='{_NAMES - 8}' y='{text}' text-anchor='end'>{escape(row['name'])}</text>"
        f"<rect x='{_NAMES}' y='{top}' width='{length:.1f}' height='{_HEIGHT}' fill='{colour}'/>"
        f"<text x='{_NAMES + length + 6:.1f}' y='{text}'>{row['records_per_second']:,.0f}</text>"
    )
