"""What the demo with MQTT asks and shows: each station's last values, its forecast, and how far that was off."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from penstock.streams.forecast.windows import WINDOW

from .stations import STATIONS, following

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from penstock.streams.forecast.spec import Scale

_BARS: Final = "▁▂▃▄▅▆▇█"
_SHOWN: Final = 36  # values in a station's line
_PACE_OVER: Final = 2.0  # seconds


class Question(NamedTuple):
    """One window, and what came after it.

    Attributes:
        station: whose.
        window: six normalised values, the newest first.
        last: the newest value, in its unit.
        truth: the value after it, in its unit.
    """

    station: str
    window: tuple[float, ...]
    last: float
    truth: float

    def payload(self) -> bytes:
        """As a station sends it."""
        return json.dumps({f"norm_{number}": value for number, value in enumerate(self.window, 1)}).encode()


def questions(scale: Scale) -> Iterator[Question]:
    """What the stations ask, in the order of time, without end."""
    values: dict[str, deque[float]] = {station: deque(maxlen=WINDOW + 1) for station in STATIONS}
    for reading in following():
        last = values[reading.station]
        last.appendleft(reading.value)
        if len(last) > WINDOW:
            truth, *window = last
            normalised = tuple((value - scale.mean) / scale.scale for value in window)
            yield Question(reading.station, normalised, window[0], truth)


@dataclass(slots=True)
class Station:
    """What is known of one station."""

    values: deque[float] = field(default_factory=lambda: deque(maxlen=_SHOWN))
    forecast: float = 0.0


@dataclass(slots=True)
class Board:
    """All answers so far.

    Attributes:
        total: questions that will be asked.
        scale: of the values.
        errors: of each forecast, in the unit of the values.
        naive: of "as the last value" for the same readings.
        latencies: seconds from a question to its answer.
    """

    total: int
    scale: Scale
    errors: list[float] = field(default_factory=list)
    naive: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    stations: dict[str, Station] = field(default_factory=lambda: {name: Station() for name in STATIONS})
    _arrivals: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, question: Question, normalised: float, seconds: float) -> None:
        """Count one answer."""
        forecast = normalised * self.scale.scale + self.scale.mean
        station = self.stations[question.station]
        station.forecast = forecast
        station.values.append(question.truth)
        self.errors.append(abs(forecast - question.truth))
        self.naive.append(abs(question.last - question.truth))
        self.latencies.append(seconds)

    def pace(self) -> float:
        """Answers per second over the last moments; to be asked regularly."""
        now = time.perf_counter()
        self._arrivals.append((now, len(self.errors)))
        while now - self._arrivals[0][0] > _PACE_OVER:
            self._arrivals.popleft()
        then, before = self._arrivals[0]
        return (len(self.errors) - before) / (now - then) if now > then else 0.0

    def line(self) -> str:
        """For a pipe."""
        return (
            f"{len(self.errors):,} of {self.total:,} answered, {self._error():.2f} off on average, {self.pace():,.0f}/s"
        )

    def frame(self) -> RenderableType:
        """One picture of the live view."""
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 2))
        table.add_column("station")
        table.add_column("load", min_width=_SHOWN)
        for name in ("forecast", "came", "off"):
            table.add_column(name, justify="right", min_width=6)
        for name, station in self.stations.items():
            if station.values:
                came = station.values[-1]
                off = abs(station.forecast - came)
                style = "green" if off < self.scale.scale / 4 else "red"
                cells = (f"{station.forecast:.1f}", f"{came:.1f}", Text(f"{off:.1f}", f"bold {style}"))
                table.add_row(name, Text(_bars(station.values), "cyan"), *cells)
        pace = (f"{self.pace():,.0f}", "bold cyan")
        answered = (f"{len(self.errors):,}", "bold")
        error = (f"{self._error():.2f}", "bold")
        told = ("  ", answered, f" of {self.total:,} answered   off on average ", error, "   ", pace, " answers/s")
        return Group(table, Text.assemble(*told))

    def _error(self) -> float:
        return sum(self.errors) / len(self.errors) if self.errors else 0.0


def _bars(values: deque[float]) -> str:
    least, most = min(values), max(values)
    step = (most - least) / (len(_BARS) - 1) or 1.0
    return "".join(_BARS[int((value - least) / step)] for value in values)
