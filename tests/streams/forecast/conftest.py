"""Real readings, models asked by hand, and forecasts with topics of their own."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pytest

from penstock.streams.forecast.readings import Reading
from penstock.streams.forecast.spec_file import load_forecast
from penstock.streams.forecast.training import train

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from penstock.streams.forecast.spec import Forecast

    from ..conftest import Cluster

SHARED = Path(__file__).parents[4] / "shared" / "data"
LSTM = SHARED / "LSTM_single_series.tflite"
READINGS = SHARED / "bts_1161114002_122.csv"
needs_shared = pytest.mark.skipif(not LSTM.exists(), reason="../shared/data with its readings is not here")

WITHIN = 150.0  # seconds, until a worker that is started on a busy machine has done its work

STATION, PARAMETER = "1161114002", "122"
MEAN, SCALE = 12.040303738317757, 12.959696261682243  # of the real readings: their mean, and their greatest minus it


def real_readings() -> list[dict[str, Any]]:
    """The readings of the shared file, as records."""
    with READINGS.open() as lines:
        return [
            {
                "station_id": STATION,
                "parameter_id": PARAMETER,
                "reading_time": int(row["unix_timestamp"]),
                "value": float(row["value"]),
            }
            for row in csv.DictReader(lines)
        ]


def lstm_by_hand(windows: Sequence[Sequence[float]]) -> list[float]:
    """What the tutorial's model answers to each window, asked as in the tutorial: the newest value first, answer 0."""
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]  # it has none

    interpreter = Interpreter(str(LSTM))
    interpreter.allocate_tensors()
    (asked,), (told,) = interpreter.get_input_details(), interpreter.get_output_details()
    answers = []
    for window in windows:
        interpreter.set_tensor(asked["index"], np.array(window, np.float32).reshape(1, 6, 1))
        interpreter.invoke()
        answers.append(float(interpreter.get_tensor(told["index"])[0, 0, 0]))
    return answers


def onnx_by_hand(model: Path, windows: Sequence[Sequence[float]]) -> list[float]:
    """What a dense model answers to each window, one at a time."""
    from onnxruntime import InferenceSession  # type: ignore[import-untyped]  # it has none

    session = InferenceSession(model, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return [float(session.run(None, {name: np.array([window], np.float32)})[0][0, 0]) for window in windows]


def windows_of(values: Sequence[float], mean: float, scale: float) -> list[list[float]]:
    """The windows of a series, from its sixth value on."""
    normalised = [(value - mean) / scale for value in values]
    return [normalised[end - 6 : end][::-1] for end in range(6, len(values) + 1)]


def waves(station: str, readings: int, seed: int = 0) -> list[Reading]:
    """A made-up series: a wave with noise, one reading a minute."""
    noise = np.random.default_rng(seed).normal(0, 0.2, readings)
    values = 10 + 3 * np.sin(np.arange(readings) / 7 + seed) + noise
    return [Reading(station, "load", minute * 60, minute * 60, float(value)) for minute, value in enumerate(values)]


@pytest.fixture(scope="session")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dense model of the waves, its scaling beside it."""
    path = tmp_path_factory.mktemp("dense") / "waves.onnx"
    train([*waves("a", 400, 1), *waves("b", 400, 2)], seed=3).save(path)
    return path


@dataclass
class ForecastCase:
    """One forecast with topics of its own."""

    name: str
    cluster: Cluster
    folder: Path

    @property
    def source(self) -> str:
        return f"{self.name}-in"

    @property
    def sink(self) -> str:
        return f"{self.name}-out"

    @property
    def dead(self) -> str:
        return f"{self.name}-dead"

    @property
    def group(self) -> str:
        return f"penstock-{self.name}"

    def file(self, service: str, scaling: str, extra: str = "") -> Path:
        path = self.folder / "forecast.toml"
        path.write_text(
            textwrap.dedent(f"""
                name = "{self.name}"
                [source]
                topic = "{self.source}"
                [sink]
                topic = "{self.sink}"
                [dead_letter]
                topic = "{self.dead}"
                [kafka]
                bootstrap = "{self.cluster.address}"
                session_timeout = 6
                [service]
                {service}
                [scaling]
                {scaling}
            """)
            + textwrap.dedent(extra)
        )
        return path

    def spec(self, service: str, scaling: str, extra: str = "") -> Forecast:
        return load_forecast(self.file(service, scaling, extra))

    def send(self, record: dict[str, Any] | bytes, key: str = STATION) -> None:
        value = record if isinstance(record, bytes) else json.dumps(record).encode()
        self.cluster.send(self.source, value, key.encode())

    def forecasts(self) -> list[dict[str, Any]]:
        """All that is in the sink, in order, each with its puid."""
        return [
            {**json.loads(record.value), "puid": dict(record.headers)["puid"], "key": record.key}
            for record in self.cluster.read(self.sink)
        ]


@contextmanager
def program(spec: Path, log: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker as a process of its own."""
    command = [sys.executable, "-m", "penstock.cli", "forecast", "run", str(spec), "--interval", "1", *options]
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


_numbers = count()


@pytest.fixture
def case(cluster: Cluster, tmp_path: Path) -> ForecastCase:
    """A forecast whose source topic is there with three partitions."""
    case = ForecastCase(f"f{next(_numbers)}-{uuid4().hex[:8]}", cluster, tmp_path)
    cluster.create(case.source, 3)
    return case


@pytest.fixture
def forecasting(running: Callable[[Any], Any]) -> Callable[[Forecast], Any]:
    """A worker of a forecast that runs as long as the block does, in the loop of the test."""

    def begin(forecast: Forecast) -> Any:
        from penstock.streams.forecast.worker import ForecastWorker

        return running(ForecastWorker(forecast))

    return begin


@pytest.fixture
def python_model(tmp_path: Path) -> Callable[[str], Path]:
    """``python_model(body)`` is a model whose ``predict(X)`` has this one line."""

    def write(body: str) -> Path:
        folder = tmp_path / "model"
        folder.mkdir()
        lines = ["class SeldonWrapper:", "    def predict(self, X, names=None):", f"        {body}", ""]
        (folder / "SeldonWrapper.py").write_text("\n".join(lines))
        return folder

    return write
