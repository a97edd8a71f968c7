"""Training: by time, the same for the same seed, and judged by what it has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from penstock.proto import SetupError
from penstock.streams.forecast.history import history
from penstock.streams.forecast.spec_file import load_forecast
from penstock.streams.forecast.training import train

from .conftest import READINGS, needs_shared, onnx_by_hand, waves, windows_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.streams.forecast.readings import Reading
    from penstock.streams.forecast.spec import Scale


def errors_by_hand(model: Path, values: Sequence[float], first: int, scale: Scale) -> tuple[float, float, float, float]:
    """MAE and RMSE of the model and of the last value, for all values from ``first`` on."""
    windows = windows_of(values, scale.mean, scale.scale)[first - 6 : -1]
    forecasts = np.array([scale.real(answer) for answer in onnx_by_hand(model, windows)])
    following, last = np.array(values[first:]), np.array(values[first - 1 : -1])
    off, naive = following - forecasts, following - last
    return abs(off).mean(), (off**2).mean() ** 0.5, abs(naive).mean(), (naive**2).mean() ** 0.5


def test_the_errors_are_those_of_the_saved_model_on_the_end_of_the_series(tmp_path: Path) -> None:
    readings = waves("a", 300)
    trained = train(readings, test=0.25, seed=1)
    beside = trained.save(tmp_path / "waves.onnx")
    assert beside == tmp_path / "waves.json"
    assert (trained.learned, trained.judged) == (225 - 6, 75)
    values = [reading.value for reading in readings]
    scale = trained.parameters["load"]
    assert (scale.mean, scale.scale) == pytest.approx((np.mean(values[:225]), np.std(values[:225])))
    by_hand = errors_by_hand(tmp_path / "waves.onnx", values, 225, scale)
    told = (trained.errors.mae, trained.errors.rmse, trained.naive.mae, trained.naive.rmse)
    assert told == pytest.approx(by_hand, rel=1e-5)
    assert trained.errors.mae < trained.naive.mae


def test_the_end_of_a_series_is_not_learned() -> None:
    readings = waves("a", 300)
    other = [replace_value(reading, 99.0) if place >= 240 else reading for place, reading in enumerate(readings)]
    assert train(readings, test=0.2).model == train(other, test=0.2).model


def replace_value(reading: Reading, value: float) -> Reading:
    return reading._replace(value=value)


def test_the_same_seed_gives_the_same_model_and_the_order_of_lines_does_not_matter() -> None:
    readings = waves("a", 120)
    assert train(readings, seed=4).model == train(readings[::-1], seed=4).model != train(readings, seed=5).model


def test_each_parameter_has_its_scale_over_all_stations() -> None:
    loud = [reading._replace(parameter="noise", value=reading.value * 100) for reading in waves("b", 120)]
    parameters = train([*waves("a", 120), *waves("b", 120), *loud]).parameters
    assert set(parameters) == {"load", "noise"}
    assert parameters["noise"].scale > 50 * parameters["load"].scale


def test_the_spec_reads_what_is_written_beside_the_model(tmp_path: Path) -> None:
    trained = train(waves("a", 120))
    trained.save(tmp_path / "waves.onnx")
    spec = tmp_path / "waves.toml"
    spec.write_text(
        'name = "w"\nsource.topic = "a"\nsink.topic = "b"\nservice.model = "waves.onnx"\nscaling.file = "waves.json"\n'
    )
    assert load_forecast(spec).scaling.parameters == trained.parameters


def test_too_few_readings_are_told() -> None:
    with pytest.raises(
        SetupError, match="there are 18 windows of 6 values to learn from and 6 to judge by; 20 of each"
    ):
        train(waves("a", 30))
    with pytest.raises(SetupError, match="there are 0 windows"):
        train([])


@needs_shared
def test_the_real_readings_are_forecast_better_than_as_the_last_value() -> None:
    names = {"station": "station_id", "parameter": "parameter_id", "time": "unix_timestamp", "value": "value"}
    trained = train(history(READINGS, names))
    assert (trained.learned, trained.judged) == (2733, 685)
    assert trained.errors.mae < 0.8 * trained.naive.mae
    assert trained.errors.rmse < 0.8 * trained.naive.rmse
