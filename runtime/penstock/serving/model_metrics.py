"""The metrics that a model returns with its answers, kept for Prometheus.

As in Seldon: COUNTER is added up, GAUGE is set, TIMER is milliseconds and becomes a histogram in seconds. The tags
are labels; they may differ from one answer to the next.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .exposition import Family
from .histogram import SECONDS, Histogram

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from penstock.proto import Metric

    Labels = tuple[tuple[str, str], ...]

_ILLEGAL = re.compile(r"[^a-zA-Z0-9_]")
_OURS = ("le", "method", "model_name")
_TYPES = {"COUNTER": "counter", "GAUGE": "gauge", "TIMER": "histogram"}
# A model that puts an ever new value into a tag must not fill the memory.
_MOST_SERIES = 10_000


class ModelMetrics:
    """All series that the model has made so far."""

    def __init__(self, model_name: str) -> None:
        self._model_name = model_name
        self._families: dict[tuple[str, str], dict[Labels, float | Histogram]] = {}
        self._names: dict[str, str] = {}
        self._series = 0

    def observe(self, metrics: Iterable[Metric], method: str) -> None:
        """Take over what came with one answer."""
        for metric in metrics:
            self._observe(metric, method)

    def _observe(self, metric: Metric, method: str) -> None:
        series = self._families.setdefault((self._name(metric), metric.type), {})
        labels = self._labels(metric, method)
        if labels not in series:
            if self._series >= _MOST_SERIES:
                return
            self._series += 1
            series[labels] = _fresh(metric.type)
        held = series[labels]
        if not isinstance(held, float):
            held.observe(metric.value / 1000)
        else:
            series[labels] = held + metric.value if metric.type == "COUNTER" else float(metric.value)

    def _name(self, metric: Metric) -> str:
        """The key as Prometheus allows it; the same key of another type gets that type's name behind it."""
        name = _ILLEGAL.sub("_", metric.key) or "_"
        name = f"_{name}" if name[:1].isdigit() else name
        # Ours are never overwritten by a model's.
        name = f"model_{name}" if name.startswith("penstock_") else name
        if metric.type == "COUNTER":
            name = name.removesuffix("_total")
        while self._names.setdefault(name, metric.type) != metric.type:
            name = f"{name}_{metric.type.lower()}"
        return name

    def _labels(self, metric: Metric, method: str) -> Labels:
        labels = {"method": method, "model_name": self._model_name}
        for key, value in metric.tags.items():
            name = _ILLEGAL.sub("_", key)
            if name in _OURS or name[:1].isdigit() or name.startswith("__"):
                name = f"tag_{name}"
            labels[name] = value
        return tuple(sorted(labels.items()))

    def families(self) -> Iterator[Family]:
        """All series, by name and type."""
        for (name, kind), series in self._families.items():
            family = Family(name, _TYPES[kind], f"{kind} of the model")
            for labels, held in series.items():
                if isinstance(held, float):
                    family.add(labels, held)
                else:
                    family.add_histogram(labels, held)
            yield family


def _fresh(kind: str) -> float | Histogram:
    return Histogram(SECONDS) if kind == "TIMER" else 0.0
