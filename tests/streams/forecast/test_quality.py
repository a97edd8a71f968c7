"""Rolling errors and drift as metrics: an alarm after the world has changed, none before, and not without bound."""

from __future__ import annotations

import logging
from math import sqrt

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from penstock.streams.forecast.forecasting import Taken
from penstock.streams.forecast.quality import Quality
from penstock.streams.forecast.readings import Reading
from penstock.streams.forecast.spec import Scale, Watch
from penstock.streams.records import Record

SCALE = Scale(10.0, 4.0)


class Watched:
    """The metrics of one series after the other."""

    def __init__(self, watch: Watch | None = None) -> None:
        self.registry = CollectorRegistry()
        self.quality = Quality("s", watch or Watch(), self.registry)

    def see(self, value: float, expected: float | None = None, station: str = "a") -> None:
        """A normalised value, and what was forecast for it."""
        reading = Reading(station, "load", 0, 0, SCALE.real(value))
        record = Record("t", 0, 0, 0, None, b"", [])
        self.quality.saw(Taken(0, record, reading, SCALE, value, (value,), expected, None))

    def metric(self, name: str, station: str = "a", **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"stream": "s", "station": station, "parameter": "load", **labels})

    def drifts(self, of: str, station: str = "a") -> float | None:
        return self.metric("penstock_forecast_drifts_total", station, of=of)


def test_errors_are_those_of_the_last_readings_in_real_units() -> None:
    watched = Watched(Watch(readings=3))
    watched.see(0.0)
    assert watched.metric("penstock_forecast_mae") == 0.0
    for error in (100.0, 0.5, -1.0, 0.25):
        watched.see(1.0 + error, 1.0)
    assert watched.metric("penstock_forecast_mae") == pytest.approx(4.0 * (0.5 + 1.0 + 0.25) / 3)
    assert watched.metric("penstock_forecast_rmse") == pytest.approx(4.0 * sqrt((0.25 + 1.0 + 0.0625) / 3))


@pytest.mark.parametrize("seed", range(5))
def test_readings_that_change_are_an_alarm_of_the_input(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    watched, random = Watched(), np.random.default_rng(seed)
    for value in random.normal(0, 0.3, 2000):
        watched.see(value, value - 0.05)
    assert (watched.drifts("input"), watched.drifts("error")) == (0, 0)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        for value in random.normal(0.5, 0.3, 300):
            watched.see(value, value - 0.05)
    assert watched.drifts("input") == len(caplog.records) >= 1
    assert watched.drifts("error") == 0
    assert caplog.messages[0] == "drift: input of station a, parameter load at 0: its readings have changed"


@pytest.mark.parametrize("seed", range(5))
def test_a_model_that_no_longer_fits_is_an_alarm_of_the_error(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    watched, random = Watched(), np.random.default_rng(seed)
    values = random.normal(0, 0.3, 2300)
    errors = np.concatenate([random.normal(0, 0.1, 2000), random.normal(0, 0.4, 300)])
    for value, error in zip(values[:2000], errors[:2000], strict=True):
        watched.see(value, value - error)
    assert (watched.drifts("input"), watched.drifts("error")) == (0, 0)
    with caplog.at_level(logging.WARNING):
        for value, error in zip(values[2000:], errors[2000:], strict=True):
            watched.see(value, value - error)
    assert watched.drifts("error") == len(caplog.records) >= 1
    assert watched.drifts("input") == 0
    assert caplog.messages[0].endswith("the model may be out of date")


def test_series_beyond_the_bound_have_no_metrics_and_are_counted() -> None:
    watched = Watched(Watch(series=2))
    for station in "abcab":
        watched.see(0.0, 0.0, station)
    assert watched.drifts("input", "b") == 0
    assert watched.drifts("input", "c") is None
    assert watched.registry.get_sample_value("penstock_forecast_unwatched_readings_total", {"stream": "s"}) == 1


def test_series_that_others_have_now_leave_room() -> None:
    watched = Watched(Watch(series=2))
    for station in "ab":
        watched.see(0.0, 0.0, station)
    watched.quality.keep_only({"b/load"})
    assert watched.drifts("input", "a") is None
    assert watched.metric("penstock_forecast_mae", "a") is None
    watched.see(0.0, 0.5, "c")
    assert watched.metric("penstock_forecast_mae", "c") == 2.0
    assert watched.drifts("input", "b") == 0
