"""How good the forecasts are and whether the world has changed: rolling errors and drift, for Prometheus and the log.

Drift is found by ADWIN (Bifet and Gavaldà, 2007), which compares the means of all earlier and later parts of what it
has seen: over the normalised values (the readings have changed) and over the size of the normalised error (the model
no longer fits them). Its memory is the worker's own: a series that moves to another worker is watched from the start.
"""

from __future__ import annotations

import logging
from collections import deque
from math import sqrt
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import Counter, Gauge
from river.drift import ADWIN

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from .forecasting import Taken
    from .readings import Reading
    from .spec import Watch

_log = logging.getLogger("penstock.streams")

_LABELS: Final = ("stream", "station", "parameter")
INPUT: Final = "input"
ERROR: Final = "error"


class Quality:
    """The metrics of all series of a worker."""

    def __init__(self, stream: str, watch: Watch, registry: CollectorRegistry) -> None:
        self._stream = stream
        self._watch = watch
        self._watched: dict[str, _Watched] = {}
        self._mae = Gauge(
            "penstock_forecast_mae", "Mean absolute error of the last forecasts.", _LABELS, registry=registry
        )
        self._rmse = Gauge("penstock_forecast_rmse", "Root of their mean squared error.", _LABELS, registry=registry)
        self._drifts = Counter(
            "penstock_forecast_drifts",
            "Changes found in the readings (of=input) or in the error of the forecasts (of=error).",
            (*_LABELS, "of"),
            registry=registry,
        )
        self._unwatched = Counter(
            "penstock_forecast_unwatched_readings",
            "Readings of series beyond watch.series, which have no metrics.",
            ("stream",),
            registry=registry,
        ).labels(stream)
        self.repeated = Counter(
            "penstock_forecast_repeated_readings",
            "Records that had been looked at before a restart or rebalance, and were passed over.",
            ("stream",),
            registry=registry,
        ).labels(stream)

    def saw(self, taken: Taken) -> None:
        """Count a reading."""
        reading = taken.reading
        watched = self._watched.get(reading.series)
        if watched is None:
            if len(self._watched) >= self._watch.series:
                self._unwatched.inc()
                return
            watched = self._watched[reading.series] = self._begin(reading)
        if watched.values_drift(taken.normalised):
            self._tell(reading, INPUT, "its readings have changed")
        if taken.foreseen is None:
            return
        error = taken.normalised - taken.foreseen
        watched.count(error * taken.scale.scale)
        if watched.errors_drift(abs(error)):
            self._tell(reading, ERROR, "the model may be out of date")

    def keep_only(self, names: set[str]) -> None:
        """Forget all other series: another worker has them."""
        for name in self._watched.keys() - names:
            watched = self._watched.pop(name)
            labels = (self._stream, *watched.who)
            self._mae.remove(*labels)
            self._rmse.remove(*labels)
            for of in (INPUT, ERROR):
                self._drifts.remove(*labels, of)

    def _begin(self, reading: Reading) -> _Watched:
        labels = (self._stream, reading.station, reading.parameter)
        for of in (INPUT, ERROR):
            self._drifts.labels(*labels, of)  # from 0, so that a rate sees the first one
        return _Watched(reading, self._watch, self._mae.labels(*labels), self._rmse.labels(*labels))

    def _tell(self, reading: Reading, of: str, meaning: str) -> None:
        self._drifts.labels(self._stream, reading.station, reading.parameter, of).inc()
        _log.warning(
            "drift: %s of station %s, parameter %s at %s: %s",
            of,
            reading.station,
            reading.parameter,
            reading.time,
            meaning,
        )


class _Watched:
    """One series."""

    def __init__(self, reading: Reading, watch: Watch, mae: Gauge, rmse: Gauge) -> None:
        self.who = (reading.station, reading.parameter)
        self._errors: deque[float] = deque(maxlen=watch.readings)
        self._values = ADWIN(delta=watch.delta)  # type: ignore[no-untyped-call]
        self._sizes = ADWIN(delta=watch.delta)  # type: ignore[no-untyped-call]
        self._mae = mae
        self._rmse = rmse

    def count(self, error: float) -> None:
        self._errors.append(error)
        self._mae.set(sum(map(abs, self._errors)) / len(self._errors))
        self._rmse.set(sqrt(sum(one * one for one in self._errors) / len(self._errors)))

    def values_drift(self, value: float) -> bool:
        return _drifts(self._values, value)

    def errors_drift(self, size: float) -> bool:
        return _drifts(self._sizes, size)


def _drifts(detector: Any, number: float) -> bool:
    detector.update(number)
    return bool(detector.drift_detected)
