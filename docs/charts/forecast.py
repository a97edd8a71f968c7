"""Draws docs/forecast.svg from what `penstock forecast run` has written and logged.

    python docs/charts/forecast.py LSTM=lstm.jsonl,lstm.log dense=dense.jsonl,dense.log > docs/forecast.svg

A .jsonl file has the values of the sink topic, one on a line; a .log file what the worker has told.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

Point = tuple[float, float]

WIDTH, LEFT, RIGHT = 900, 52, 16
COLOURS = ("#d1495b", "#00798c")
GREY = "#8d99ae"
ZOOM = range(700, 940)  # the load rises for the first time
ROLLING = 100


@dataclass(frozen=True)
class Run:
    """What one model has said, reading by reading, and when drift of its error was found."""

    name: str
    told: list[dict[str, Any]]
    drifts: list[int]


@dataclass(frozen=True)
class Panel:
    """A part of the picture, and the numbers it has room for."""

    top: float
    height: float
    across: tuple[float, float]
    up: tuple[float, float]

    def place(self, point: Point) -> Point:
        """Where a point is in the picture."""
        (x, y), (first, last), (low, high) = point, self.across, self.up
        at = LEFT + (x - first) / (last - first) * (WIDTH - LEFT - RIGHT)
        return at, self.top + self.height - (y - low) / (high - low) * self.height

    def line(self, points: list[Point], colour: str, width: float) -> str:
        """A line through points."""
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self.place, points))
        return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="{width}"/>'

    def grid(self, step: float, unit: str) -> str:
        """A horizontal line with its number for each step."""
        parts, y = [], self.up[0]
        while y <= self.up[1] + 1e-9:
            _, at = self.place((self.across[0], y))
            parts.append(f'<line x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}" stroke="#e5e8ee"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{y:g}{unit}</text>')
            y += step
        return "\n".join(parts)

    def mark(self, x: float, colour: str) -> str:
        """A triangle at the foot."""
        at, bottom = self.place((x, self.up[0]))
        return f'<path d="M{at:.1f},{bottom - 1:.1f} l-4,-9 h8 z" fill="{colour}"/>'


def read(argument: str) -> Run:
    """One run, from ``name=answers,log``."""
    name, _, files = argument.partition("=")
    answers, log = files.split(",")
    told = [json.loads(line) for line in Path(answers).read_text().splitlines()]
    times = [one["reading_time"] for one in told]
    found = re.findall(r"drift: error of .* at (\d+)", Path(log).read_text())
    return Run(name, told, [times.index(int(time)) for time in found])


def rolling(errors: list[float | None]) -> list[Point]:
    """The mean absolute error of the last 100, by reading."""
    sizes = [abs(error) for error in errors if error is not None]
    first = len(errors) - len(sizes)
    return [(first + end - 1, sum(sizes[end - ROLLING : end]) / ROLLING) for end in range(ROLLING, len(sizes) + 1, 4)]


def heading(y: float, text: str, runs: list[tuple[str, str]]) -> str:
    """A title, and what the colours mean."""
    parts, x = [f'<text x="{LEFT}" y="{y}" font-weight="600">{text}</text>'], float(WIDTH - RIGHT)
    for name, colour in reversed(runs):
        parts.append(f'<text x="{x}" y="{y}" text-anchor="end" fill="{colour}">{name}</text>')
        x -= 9 * len(name) + 14
    return "\n".join(parts)


def draw(runs: list[Run]) -> str:
    """The picture as SVG."""
    told = runs[0].told
    names = [(run.name, colour) for run, colour in zip(runs, COLOURS, strict=True)]
    near = Panel(40, 180, (ZOOM[0], ZOOM[-1]), (5, 20))
    parts = [
        heading(24, "readings and what was forecast for them, as the load rises", [("reading", GREY), *names]),
        near.grid(5, ""),
        near.line([(at, told[at]["value"]) for at in ZOOM], GREY, 2.5),
    ]
    parts += [
        near.line([(at, run.told[at]["expected"]) for at in ZOOM], c, 1.2)
        for run, (_, c) in zip(runs, names, strict=True)
    ]
    naive = [None, *(now["value"] - last["value"] for last, now in pairwise(told))]
    far = Panel(272, 180, (0, len(told)), (0, 9))
    parts += [
        heading(
            256, "mean absolute error of the last 100; ▲ drift of the error", [("as the last value", GREY), *names]
        ),
        far.grid(3, ""),
        far.line(rolling(naive), GREY, 1.5),
    ]
    for run, (_, colour) in zip(runs, names, strict=True):
        parts.append(far.line(rolling([one["error"] for one in run.told]), colour, 1.8))
        parts += [far.mark(at, colour) for at in run.drifts]
    parts += [
        f'<text x="{far.place((at, 0))[0]:.1f}" y="470" text-anchor="middle">{at:,}</text>'
        for at in range(0, len(told), 500)
    ]
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} 484" font-family="system-ui, sans-serif" '
        f'font-size="12" fill="#2b2d42">\n<rect width="{WIDTH}" height="484" fill="#fff"/>\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    sys.stdout.write(draw([read(argument) for argument in sys.argv[1:]]))
