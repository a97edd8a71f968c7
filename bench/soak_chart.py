"""The soak as a picture: memory and lag over time, an SVG of a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 760, 150, 70, 30, 60
_STYLE = "font-family='sans-serif' font-size='12'"


def chart(samples: Mapping[str, Sequence[float]]) -> str:
    """An SVG with a curve of memory, and one of the lag where there is one.

    Args:
        samples: ``second``, ``rss_mb`` and perhaps ``lag``, equally long.
    """
    minutes = [second / 60 for second in samples["second"]]
    parts = [_curve(minutes, samples["rss_mb"], "resident memory, MiB", "#2563eb", _TOP)]
    if "lag" in samples:
        parts.append(_curve(minutes, samples["lag"], "records not yet committed", "#b45309", _TOP + _HEIGHT + _GAP))
    height = _TOP + len(parts) * (_HEIGHT + _GAP)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH + _LEFT + 20} {height}' {_STYLE}>"
        f"<rect width='100%' height='100%' fill='white'/>{''.join(parts)}</svg>\n"
    )


def _curve(minutes: Sequence[float], values: Sequence[float], title: str, colour: str, top: float) -> str:
    """One curve in its frame; the scale begins at 0, so that flat looks flat and nothing else does."""
    most = max(max(values) * 1.1, 1.0)
    last = minutes[-1]
    points = " ".join(
        f"{_LEFT + _WIDTH * minute / last:.1f},{top + _HEIGHT * (1 - value / most):.1f}"
        for minute, value in zip(minutes, values, strict=True)
    )
    bottom = top + _HEIGHT
    step = next(each for each in (1, 2, 5, 10, 20, 60) if last / each <= 12)
    ticks = "".join(
        f"<text x='{_LEFT + _WIDTH * minute / last:.0f}' y='{bottom + 16}' text-anchor='middle'>{minute}</text>"
        for minute in range(0, int(last) + 1, step)
    )
    return (
        f"<text x='{_LEFT}' y='{top - 8}' fill='{colour}'>{title}</text>"
        f"<text x='{_LEFT - 6}' y='{bottom}' text-anchor='end'>0</text>"
        f"<text x='{_LEFT - 6}' y='{top + 8}' text-anchor='end'>{most:,.0f}</text>"
        f"<path d='M{_LEFT} {top}V{bottom}H{_LEFT + _WIDTH}' fill='none' stroke='#888'/>{ticks}"
        f"<text x='{_LEFT + _WIDTH}' y='{bottom + 32}' text-anchor='end'>minutes</text>"
        f"<polyline points='{points}' fill='none' stroke='{colour}'/>"
    )
