"""Forecasts over a real broker, held against the models asked by hand, also where workers are killed in the middle."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from ..conftest import until
from .conftest import (
    LSTM,
    MEAN,
    SCALE,
    WITHIN,
    lstm_by_hand,
    needs_shared,
    onnx_by_hand,
    program,
    real_readings,
    windows_of,
)
from .conftest import waves as made_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from .conftest import ForecastCase

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]

AS_IN_THE_TUTORIAL = f"mean = {MEAN}\nscale = {SCALE}"


def first_of_each(forecasts: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """By station, without doubles; a double says the same as the first."""
    found: dict[bytes, dict[str, Any]] = {}
    for forecast in forecasts:
        assert found.setdefault(forecast["puid"], forecast) == forecast
    stations: dict[str, list[dict[str, Any]]] = {}
    for forecast in found.values():
        stations.setdefault(forecast["station_id"], []).append(forecast)
    return stations


def assert_as_by_hand(
    told: Sequence[dict[str, Any]], values: Sequence[float], answers: Sequence[float], mean: float, scale: float
) -> None:
    """Value, forecast, expectation and error of a whole series, to the last bit."""
    normalised = [None] * 5 + list(answers)
    forecasts = [None if answer is None else answer * scale + mean for answer in normalised]
    expected = [None, *forecasts[:-1]]
    assert [one["value"] for one in told] == list(values)
    assert [one["forecast_normalised"] for one in told] == normalised
    assert [one["forecast"] for one in told] == forecasts
    assert [one["expected"] for one in told] == expected
    errors = [None if e is None else value - e for value, e in zip(values, expected, strict=True)]
    assert [one["error"] for one in told] == errors


@needs_shared
@pytest.mark.timeout(600)
async def test_two_kills_change_no_number(
    case: ForecastCase, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    real = real_readings()
    stations = {"1161114002": real, **{f"station-{number}": real[number * 90 :][:200] for number in range(1, 5)}}
    total = sum(map(len, stations.values()))
    for station, readings in stations.items():
        for reading in readings:
            case.send({**reading, "station_id": station}, station)
    case.cluster.flush()
    spec, log = case.file(f'model = "{LSTM}"', AS_IN_THE_TUTORIAL, "[batch]\nrecords = 16"), tmp_path / "worker.log"

    with program(spec, log) as first:
        await until(lambda: case.cluster.size(case.sink) >= total // 8, WITHIN)
        os.kill(first.pid, signal.SIGKILL)
    assert case.cluster.size(case.sink) < total, "killed too late to prove anything"
    with program(spec, log) as second, program(spec, log) as third:
        await until(lambda: case.cluster.size(case.sink) >= total // 2, WITHIN)
        os.kill(second.pid, signal.SIGKILL)
        assert case.cluster.size(case.sink) < total, "killed too late to prove anything"
        await until(lambda: case.cluster.committed(case.group, case.source) == total, WITHIN)
        third.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(third.wait, 40) == 0, log.read_text()

    forecasts = await asyncio.to_thread(case.forecasts)
    found = first_of_each(forecasts)
    doubles = len(forecasts) - sum(map(len, found.values()))
    record_property("reported", f"killed twice in {total:,} readings: none lost, {doubles} doubled, all as by hand")
    assert case.cluster.size(case.dead) == 0
    assert found.keys() == stations.keys()
    for station, readings in stations.items():
        values = [reading["value"] for reading in readings]
        answers = lstm_by_hand(windows_of(values, MEAN, SCALE))
        assert_as_by_hand(found[station], values, answers, MEAN, SCALE)


async def test_a_dense_model_goes_on_where_another_worker_has_stopped(
    case: ForecastCase, dense: Path, forecasting: Callable[..., Any]
) -> None:
    forecast = case.spec(f'model = "{dense}"', f'file = "{dense.with_suffix(".json")}"')
    stations = {name: made_up(name, 150, seed) for seed, name in enumerate("abcde")}
    turns = [reading for one in zip(*stations.values(), strict=True) for reading in one]
    for part in (turns[:303], turns[303:]):
        for reading in part:
            case.send(
                {
                    "station_id": reading.station,
                    "parameter_id": "load",
                    "reading_time": reading.time,
                    "value": reading.value,
                },
                reading.station,
            )
        case.cluster.flush()
        wanted = case.cluster.size(case.source)
        async with forecasting(forecast):
            await until(lambda wanted=wanted: case.cluster.committed(case.group, case.source) == wanted, WITHIN)  # type: ignore[misc]
    found = first_of_each(await asyncio.to_thread(case.forecasts))
    scale = json.loads(dense.with_suffix(".json").read_text())["parameters"]["load"]
    for name, readings in stations.items():
        values = [reading.value for reading in readings]
        answers = onnx_by_hand(dense, windows_of(values, scale["mean"], scale["scale"]))
        assert_as_by_hand(found[name], values, answers, scale["mean"], scale["scale"])
        assert {one["key"] for one in found[name]} == {f"{name}/load".encode()}
    assert {one["model"] for one in found["a"]} == {None, "waves"}
    assert case.cluster.size(case.sink) == len(turns), "a stop doubles nothing"
