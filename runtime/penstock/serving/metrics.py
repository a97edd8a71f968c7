"""What Prometheus is told about the service itself, and, through `model_metrics`, by the model.

Counting happens for every request, reading every few seconds: so requests add to plain numbers in the event loop,
and the families of Prometheus' text are made when they are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .exposition import Family, exposition
from .histogram import SECONDS, Histogram
from .model_metrics import ModelMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """The numbers of one service, in a registry of its own."""

    def __init__(self, model_name: str) -> None:
        self.model = ModelMetrics(model_name)
        self._requests: dict[tuple[str, str, str], Histogram] = {}
        self._run_seconds = Histogram(SECONDS)
        self._run_rows = Histogram(_ROWS)
        self._feedback = 0
        self._reward = 0.0
        self._queue: Callable[[], int] = lambda: 0
        self._pending: Callable[[], int] = lambda: 0

    def watch(self, rows: Callable[[], int], pending: Callable[[], int]) -> None:
        """Say where the number of waiting rows is read, and that of requests without an answer."""
        self._queue = rows
        self._pending = pending

    @property
    def in_flight(self) -> int:
        """How many requests wait for their answer."""
        return self._pending()

    def request(self, door: str, method: str, status: str, seconds: float) -> None:
        """Count one request that a door answered."""
        try:
            latency = self._requests[door, method, status]
        except KeyError:
            latency = self._requests[door, method, status] = Histogram(SECONDS)
        latency.observe(seconds)

    def run(self, rows: int, seconds: float) -> None:
        """Count one run of the model."""
        self._run_rows.observe(rows)
        self._run_seconds.observe(seconds)

    def feedback(self, reward: float) -> None:
        """Count one feedback; Prometheus' counters only grow, so only what is above 0 adds to the reward."""
        self._feedback += 1
        self._reward += max(reward, 0.0)

    def exposition(self) -> bytes:
        """All numbers in Prometheus' text form."""
        return exposition(self.families())

    def families(self) -> Iterator[Family]:
        """The service's numbers, then the model's."""
        requests = Family("penstock_requests", "counter", "Requests answered.")
        latencies: dict[tuple[str, str], Histogram] = {}
        for (door, method, status), histogram in self._requests.items():
            requests.add((("door", door), ("method", method), ("status", status)), histogram.count)
            latencies.setdefault((door, method), Histogram(SECONDS)).add(histogram)
        yield requests
        latency = Family("penstock_request_seconds", "histogram", "From the last byte read to the reply.")
        for (door, method), histogram in latencies.items():
            latency.add_histogram((("door", door), ("method", method)), histogram)
        yield latency
        yield _histogram("penstock_model_run_seconds", "One run of the model.", self._run_seconds)
        yield _histogram("penstock_batch_rows", "Rows in one run of the model.", self._run_rows)
        yield _single("penstock_queue_rows", "gauge", "Rows that wait for the model.", self._queue())
        yield _single("penstock_in_flight", "gauge", "Requests that wait for their answer.", self.in_flight)
        yield _single("penstock_feedback", "counter", "Feedbacks received.", self._feedback)
        yield _single("penstock_feedback_reward", "counter", "Sum of their rewards above 0.", self._reward)
        yield from self.model.families()


def _histogram(name: str, text: str, histogram: Histogram) -> Family:
    family = Family(name, "histogram", text)
    family.add_histogram((), histogram)
    return family


def _single(name: str, kind: str, text: str, value: float) -> Family:
    family = Family(name, kind, text)
    family.add((), value)
    return family
