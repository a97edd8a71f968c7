"""A dense net trained on readings of the past: six normalised values in, the next one out, as ONNX.

The split is by time, never by chance: the first part of each series is learned, the rest is forecast as it would have
come. Its error stands beside that of the forecast that costs nothing, "as the last value".
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from penstock.proto import SetupError

from .spec import Scale
from .windows import WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from .readings import Reading

    Array = np.ndarray[Any, np.dtype[Any]]

_LAYERS: Final = (32, 16)
_MOST_ROUNDS: Final = 2000
_OPSET: Final = {"": 17, "ai.onnx.ml": 3}
_LEAST: Final = 20  # windows to learn from, and to judge by; fewer say nothing


@dataclass(frozen=True, slots=True)
class Errors:
    """How far forecasts were off, in the unit of the values.

    Attributes:
        mae: mean absolute error.
        rmse: root of the mean squared error.
    """

    mae: float
    rmse: float


@dataclass(frozen=True, slots=True)
class Trained:
    """A model, and how good it is on readings that it has not seen.

    Attributes:
        model: as ONNX.
        parameters: the scale of each parameter, from the readings that were learned.
        learned: windows that it has learned from.
        judged: windows that it was judged by.
        errors: its own.
        naive: of "as the last value" over the same readings.
    """

    model: bytes
    parameters: dict[str, Scale]
    learned: int
    judged: int
    errors: Errors
    naive: Errors

    def save(self, file: Path) -> Path:
        """Write the model to ``file``, and what a spec needs to know beside it as JSON; its path."""
        file.write_bytes(self.model)
        beside = file.with_suffix(".json")
        told = {
            "parameters": {name: asdict(scale) for name, scale in self.parameters.items()},
            "window": WINDOW,
            "learned": self.learned,
            "judged": self.judged,
            "errors": asdict(self.errors),
            "naive": asdict(self.naive),
        }
        beside.write_text(json.dumps(told, indent=2) + "\n", "utf-8")
        return beside


@dataclass(frozen=True, slots=True)
class _Part:
    """Windows with what came after them, normalised, and the scale of each."""

    windows: Array
    following: Array
    scales: Array


def train(readings: Sequence[Reading], *, test: float = 0.2, seed: int = 0) -> Trained:
    """Train a model for all series together.

    Args:
        readings: of any number of series.
        test: part of each series, its end, that is kept for the judgement.
        seed: the same readings and seed give the same model.

    Raises:
        SetupError: too few readings, or scikit-learn or skl2onnx is not installed.
    """
    series = _series(readings)
    split = {key: round(len(values) * (1 - test)) for key, values in series.items()}
    scales = _scales({key: values[: split[key]] for key, values in series.items()})
    learned = _joined([_part(values[: split[key]], scales[key[1]], WINDOW) for key, values in series.items()])
    judged = _joined([_part(values, scales[key[1]], max(split[key], WINDOW)) for key, values in series.items()])
    if min(len(learned.following), len(judged.following)) < _LEAST:
        raise SetupError(
            f"there are {len(learned.following)} windows of {WINDOW} values to learn from and "
            f"{len(judged.following)} to judge by; {_LEAST} of each are the least",
            code="TOO_FEW_READINGS",
        )
    model = _fitted(learned, seed)
    return Trained(
        model,
        scales,
        len(learned.following),
        len(judged.following),
        _errors(judged, _answers(model, judged.windows)),
        _errors(judged, judged.windows[:, 0]),
    )


def _series(readings: Iterable[Reading]) -> dict[tuple[str, str], Array]:
    """The values of each series by time; those of one time in the order in which they came."""
    found: dict[tuple[str, str], list[Reading]] = {}
    for reading in readings:
        found.setdefault((reading.station, reading.parameter), []).append(reading)
    return {
        key: np.array([reading.value for reading in sorted(one, key=lambda reading: reading.moment)])
        for key, one in found.items()
    }


def _scales(learned: dict[tuple[str, str], Array]) -> dict[str, Scale]:
    """Mean and standard deviation of each parameter, over all stations, from what is learned alone."""
    scales = {}
    for parameter in sorted({parameter for _, parameter in learned}):
        values = np.concatenate([part for key, part in learned.items() if key[1] == parameter])
        if len(values):
            scales[parameter] = Scale(float(values.mean()), float(values.std()) or 1.0)
    return scales


def _part(values: Array, scale: Scale, first: int) -> _Part:
    """The windows before each value from the one at ``first`` on; the newest value of a window comes first."""
    normalised = (values - scale.mean) / scale.scale
    ends = range(first, len(values))
    windows = np.array([normalised[end - WINDOW : end][::-1] for end in ends], np.float32).reshape(-1, WINDOW)
    return _Part(windows, normalised[list(ends)], np.full(len(ends), scale.scale))


def _joined(parts: Sequence[_Part]) -> _Part:
    empty = _Part(np.empty((0, WINDOW), np.float32), np.empty(0), np.empty(0))
    parts = [empty, *parts]
    return _Part(
        np.concatenate([part.windows for part in parts]),
        np.concatenate([part.following for part in parts]),
        np.concatenate([part.scales for part in parts]),
    )


def _fitted(learned: _Part, seed: int) -> bytes:
    try:
        from skl2onnx import to_onnx
        from sklearn.neural_network import MLPRegressor
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    except ImportError as error:
        raise SetupError(
            f"training needs {error.name}; install scikit-learn and skl2onnx", code="NOT_INSTALLED"
        ) from None
    net = MLPRegressor(hidden_layer_sizes=_LAYERS, random_state=seed, max_iter=_MOST_ROUNDS)
    with threadpool_limits(1):  # a net this small is faster so, and the same on every machine
        net.fit(learned.windows, learned.following)
    model: bytes = to_onnx(net, learned.windows[:1], target_opset=_OPSET).SerializeToString()
    return model


def _answers(model: bytes, windows: Array) -> Array:
    """What the exported model says, which is what will be asked."""
    from onnxruntime import InferenceSession  # type: ignore[import-untyped]  # it has none

    session = InferenceSession(model, providers=["CPUExecutionProvider"])
    answers: Array = session.run(None, {session.get_inputs()[0].name: windows})[0]
    return answers.reshape(len(windows))


def _errors(judged: _Part, answers: Array) -> Errors:
    off = (judged.following - answers) * judged.scales
    return Errors(float(np.abs(off).mean()), float(np.sqrt((off * off).mean())))
