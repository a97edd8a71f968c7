"""Bar charts as SVG: one bar for each row, the scale begins at 0 or is logarithmic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMES, _BARS, _NUMBERS, _LINE, _HEIGHT, _TOP = 290, 400, 110, 22, 14, 34
_OURS, _REFERENCE, _THEIRS, _LIMIT = "#2563eb", "#b45309", "#9ca3af", "#86efac"
COLOURS = {"ours": _OURS, "reference": _REFERENCE, "theirs": _THEIRS, "limit": _LIMIT}


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a chart.

    Attributes:
        name: before it.
        value: its length.
        text: behind it.
        kind: one of ``COLOURS``.
    """

    name: str
    value: float
    text: str
    kind: str


def chart(title: str, bars: Sequence[Bar], *, logarithmic: bool = False) -> str:
    """An SVG of these bars, the first at the top."""
    lengths = _lengths([bar.value for bar in bars], logarithmic=logarithmic)
    lines = "".join(_line(at, bar, length) for at, (bar, length) in enumerate(zip(bars, lengths, strict=True)))
    width, height = _NAMES + _BARS + _NUMBERS, _TOP + _LINE * len(bars) + 8
    scale = ", logarithmic scale" if logarithmic else ""
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' "
        f"font-family='sans-serif' font-size='12'><rect width='100%' height='100%' fill='white'/>"
        f"<text x='8' y='20' font-size='14'>{escape(title + scale)}</text>{lines}</svg>\n"
    )


def _lengths(values: Sequence[float], *, logarithmic: bool) -> list[float]:
    most = max(values, default=1.0)
    if not logarithmic:
        return [_BARS * value / most for value in values]
    # The shortest bar is not nothing: half a decade below it the scale begins.
    least = min(value for value in values if value > 0) / 3
    return [_BARS * math.log(max(value, least) / least) / math.log(most / least) for value in values]


def _line(at: int, bar: Bar, length: float) -> str:
    top, text = _TOP + _LINE * at, _TOP + _LINE * at + 12
    return (
        f"<text x='{_NAMES - 8}' y='{text}' text-anchor='end'>{escape(bar.name)}</text>"
        f"<rect x='{_NAMES}' y='{top}' width='{length:.1f}' height='{_HEIGHT}' fill='{COLOURS[bar.kind]}'/>"
        f"<text x='{_NAMES + length + 6:.1f}' y='{text}'>{escape(bar.text)}</text>"
    )
