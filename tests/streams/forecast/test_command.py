"""``penstock forecast`` as it is typed: train on readings, send them, forecast them, look at the metrics."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

import pytest

from ..conftest import until
from .conftest import WITHIN, program, waves

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import ForecastCase


def forecast(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "penstock.cli", "forecast", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=WITHIN)


def fetched(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as reply:
        text: str = reply.read().decode()
        return text


@pytest.fixture
def past(tmp_path: Path) -> Path:
    """A file of readings with a drift: from the 300th on, all values are higher by 6."""
    file = tmp_path / "past.csv"
    lines = [
        f"{number},{one.station},{one.parameter},{one.time},{one.value + 6 * (number >= 300)}"
        for number, one in enumerate(waves("s/1", 500))
    ]
    file.write_text("\n".join(["number,station_id,parameter_id,at,value", *lines]))
    return file


@pytest.mark.kafka
@pytest.mark.xdist_group("kafka")
async def test_from_a_file_of_readings_to_forecasts_and_a_drift(case: ForecastCase, past: Path, tmp_path: Path) -> None:
    model = tmp_path / "waves.onnx"
    trained = forecast("train", past, "--output", model, "--time", "at", "--test", "0.5", "--output-format", "json")
    assert trained.returncode == 0, trained.stderr
    told = json.loads(trained.stdout)
    assert (told["learned"], told["judged"]) == (244, 250)
    assert set(told["errors"]) == set(told["naive"]) == {"mae", "rmse"}

    sent = forecast("send", past, "--topic", case.source, "--bootstrap", case.cluster.address, "--time", "at")
    assert (sent.returncode, sent.stdout) == (0, f"500 readings to {case.source} at {case.cluster.address}\n")
    first = case.cluster.read(case.source)[0]
    assert (first.key, set(json.loads(first.value))) == (
        b"s/1",
        {"station_id", "parameter_id", "reading_time", "value"},
    )

    spec = case.file(f'model = "{model}"', f'file = "{model.with_suffix(".json")}"')
    log = tmp_path / "worker.log"
    with program(spec, log, "--metrics-port", "0") as worker:
        await until(lambda: case.cluster.size(case.sink) == 500, WITHIN)
        await until(lambda: case.cluster.committed(case.group, case.source) == 500, WITHIN)
        (address,) = re.findall(r"metrics on (http\S+)", log.read_text())
        metrics = await asyncio.to_thread(fetched, address)
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 40) == 0
    labels = f'parameter="load",station="s/1",stream="{case.name}"'
    assert re.search(rf"penstock_forecast_mae{{{labels}}} \d", metrics)
    assert re.search(rf"penstock_forecast_rmse{{{labels}}} \d", metrics)
    (drifts,) = re.findall(rf'penstock_forecast_drifts_total{{of="input",{labels}}} (\S+)', metrics)
    assert float(drifts) >= 1
    (when, *_) = re.findall(r"drift: input of station s/1, parameter load at (\d+)", log.read_text())
    assert int(when) >= 300 * 60, "an alarm before anything has changed"
    assert case.forecasts()[-1]["model"] == "waves"


def test_training_is_told_in_two_lines_and_a_table(past: Path, tmp_path: Path) -> None:
    done = forecast("train", past, "-o", tmp_path / "m.onnx", "--time", "at")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "learned from 394 windows, judged by the 100 that came after them"
    assert lines[1].split() == ["MAE", "RMSE"]
    assert re.fullmatch(r'"as the last value" +\d+\.\d{3} +\d+\.\d{3}', lines[3])
    assert lines[4] == f"{tmp_path / 'm.onnx'} and {tmp_path / 'm.json'}"


def test_what_is_wrong_is_one_line(past: Path, tmp_path: Path) -> None:
    for arguments, told in (
        (("train", past, "-o", tmp_path / "m.onnx"), "has no column 'reading_time' for the time; it has number, "),
        (("send", tmp_path / "none.csv", "--topic", "t"), "none.csv: cannot be read"),
        (("run", tmp_path / "none.toml"), "none.toml: cannot be read"),
    ):
        result = forecast(*arguments)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith("error: ")
        assert told in result.stderr
        assert result.stderr.count("\n") == 1
