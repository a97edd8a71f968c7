"""What a window is and where the forecast is, as the tutorial that the model comes from has it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from penstock.proto import Kind, Payload, ServiceError, SetupError
from penstock.streams.forecast.windows import forecasts, payload, shape_of
from penstock.streams.local_model import local_model

from .conftest import LSTM, MEAN, SCALE, needs_shared, real_readings, windows_of

if TYPE_CHECKING:
    from collections.abc import Callable

IRIS = Path(__file__).parents[4] / "shared" / "data" / "iris.onnx"


@needs_shared
async def test_the_answers_that_the_tutorial_prints_come_out() -> None:
    windows = windows_of([reading["value"] for reading in real_readings()], MEAN, SCALE)
    async with local_model(LSTM, 30.0) as model:
        shape = await shape_of(model.predict)
        assert shape == (6, 1)
        answer = await model.predict(payload(windows[8:10], shape), "")
    # As it shows them: "Returned Results: {"LSTM": -0.13547556102275848}", and the other one. They are float32, and the
    # last bits are the processor's: LiteRT chooses its kernels by what that can do.
    assert forecasts(answer.payload, 2) == pytest.approx([-0.22059251368045807, -0.13547556102275848], rel=2**-22)


async def test_a_dense_model_takes_a_row(dense: Path) -> None:
    async with local_model(dense, 30.0) as model:
        assert await shape_of(model.predict) == (6,)


@pytest.mark.skipif(not IRIS.exists(), reason="../shared/data/iris.onnx is not here")
async def test_a_model_that_takes_no_window_is_told() -> None:
    async with local_model(IRIS, 30.0) as model:
        with pytest.raises(SetupError, match=r"takes no window of 6 values.*shape \[-1, 4\]") as error:
            await shape_of(model.predict)
    assert error.value.code == "NO_FORECASTER"


async def test_a_model_that_answers_no_number_is_told(python_model: Callable[[str], Path]) -> None:
    async with local_model(python_model("return [['high'] for row in X]"), 30.0) as model:
        with pytest.raises(SetupError, match="the model is no forecaster"):
            await shape_of(model.predict)


@pytest.mark.parametrize(
    "answer",
    [
        Payload(Kind.NDARRAY, np.array([[1.0]])),
        Payload(Kind.NDARRAY, np.array([[1.0], [np.nan]])),
        Payload(Kind.NDARRAY, np.array([["1"], ["2"]])),
        Payload(Kind.NDARRAY, np.empty((2, 0))),
        Payload(Kind.JSON_DATA, [[1.0], [2.0]]),
    ],
)
def test_an_answer_without_a_number_for_each_window_is_none(answer: Payload) -> None:
    with pytest.raises(ServiceError) as error:
        forecasts(answer, 2)
    assert error.value.code == "NO_FORECAST"


def test_the_first_element_is_the_forecast() -> None:
    answer: Any = np.arange(12, dtype=np.float32).reshape(2, 6, 1)
    assert forecasts(Payload(Kind.TENSOR, answer), 2) == [0.0, 6.0]
