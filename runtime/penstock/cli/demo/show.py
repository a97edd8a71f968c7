"""What the demo shows: the images as blocks in the terminal, the predictions beside them, the pace below."""

from __future__ import annotations

import statistics
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import RenderableType

_SIDE = 8
_BRIGHTEST = 16
_ROWS = 4
_BAR = 20
# The pace is taken over this many seconds: short enough to follow, long enough to read.
_WINDOW = 2.0


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer of the stream.

    Attributes:
        image: float32 [64], brightness 0 to 16.
        label: the digit it shows. digit: the digit predicted.
        probability: of the predicted digit.
        latency: seconds from sending the record to receiving the answer, both over Kafka.
    """

    image: NDArray[np.float32]
    label: int
    digit: int
    probability: float
    latency: float


@dataclass(slots=True)
class Scoreboard:
    """All answers so far, and the last few to look at."""

    total: int
    answered: int = 0
    right: int = 0
    latest: deque[Prediction] = field(default_factory=lambda: deque(maxlen=_ROWS))
    latencies: list[float] = field(default_factory=list)
    _arrivals: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, prediction: Prediction) -> None:
        """Count one answer."""
        self.answered += 1
        self.right += prediction.digit == prediction.label
        self.latest.append(prediction)
        self.latencies.append(prediction.latency)

    def pace(self) -> float:
        """Answers per second over the last moments; to be asked regularly."""
        now = time.perf_counter()
        self._arrivals.append((now, self.answered))
        while now - self._arrivals[0][0] > _WINDOW:
            self._arrivals.popleft()
        then, before = self._arrivals[0]
        return (self.answered - before) / (now - then) if now > then else 0.0

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.right / self.answered if self.answered else 0.0

    @property
    def median_latency(self) -> float:
        """Seconds."""
        return statistics.median(self.latencies) if self.latencies else 0.0


def frame(board: Scoreboard) -> RenderableType:
    """One picture of the live view."""
    return Group(_predictions(board), _progress(board))


def _predictions(board: Scoreboard) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2), show_lines=True)
    table.add_column("image")
    table.add_column("shows", justify="center", vertical="middle")
    table.add_column("predicted", justify="center", vertical="middle")
    table.add_column("probability", vertical="middle", min_width=_BAR + 8)
    table.add_column("latency", justify="right", vertical="middle", min_width=9)
    for prediction in board.latest:
        verdict = "bold green" if prediction.digit == prediction.label else "bold red"
        table.add_row(
            picture(prediction.image),
            Text(str(prediction.label), "bold"),
            Text(str(prediction.digit), verdict),
            _bar(prediction.probability, verdict),
            Text(f"{prediction.latency * 1000:.1f} ms"),
        )
    return table


def picture(image: NDArray[np.float32]) -> Text:
    """An 8×8 image in 8×4 characters: each shows two pixels, its upper half as foreground, its lower as background."""
    pixels = (image.reshape(_SIDE, _SIDE) * (255 / _BRIGHTEST)).astype(int)
    text = Text()
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        for above, below in zip(upper, lower, strict=True):
            text.append("▀", f"rgb({above},{above},{above}) on rgb({below},{below},{below})")
        text.append("\n")
    text.right_crop(1)
    return text


def _bar(share: float, style: str) -> Text:
    filled = round(share * _BAR)
    return Text.assemble(("━" * filled, style), ("━" * (_BAR - filled), "grey30"), f" {share:6.1%}")


def _progress(board: Scoreboard) -> Text:
    return Text.assemble(
        "  ",
        (f"{board.answered:,}", "bold"),
        f" of {board.total:,} answered   accuracy ",
        (f"{board.accuracy:.1%}", "bold"),
        "   ",
        (f"{board.pace():,.0f}", "bold cyan"),
        " records/s",
    )


def line(board: Scoreboard) -> str:
    """The same for a pipe."""
    return (
        f"{board.answered:,} of {board.total:,} answered, accuracy {board.accuracy:.1%}, {board.pace():,.0f} records/s"
    )
