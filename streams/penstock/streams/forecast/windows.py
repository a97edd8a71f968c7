"""What a window of readings is to a forecasting model, and where in its answer the forecast is.

As in the tutorial that the models come from (rdsea/sys4bigml): a window is the last six normalised values, the newest
first (``norm_1`` to ``norm_6``), and the forecast is the first element of the model's answer. An LSTM with an output
for each step has been trained so that step k gives what comes after its k-th newest value: the first is the future,
the others are known already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from penstock.proto import Kind, ModelFailure, ModelInputError, Payload, ServiceError, SetupError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from penstock.streams.calls import Answer

    Ask = Callable[[Payload, str], Awaitable[Answer]]

WINDOW: Final = 6
"""How many values make a window."""

Shape = tuple[int, ...]
"""The shape of one window, as its model takes it."""

# A dense net takes a row of six columns, a recurrent one six steps of one value.
_SHAPES: Final[tuple[Shape, ...]] = ((WINDOW,), (WINDOW, 1))


async def shape_of(ask: Ask) -> Shape:
    """The shape in which a model takes a window, found by asking it with zeros.

    Args:
        ask: ``Caller.predict`` of whoever answers.

    Raises:
        SetupError: ``NO_FORECASTER``, it takes no window, or its answer has no number.
        PenstockError: it cannot be asked.
    """
    refusal = ""
    for shape in _SHAPES:
        try:
            answer = await ask(payload([[0.0] * WINDOW], shape), "")
            forecasts(answer.payload, 1)
        except (ModelInputError, ModelFailure) as error:
            refusal = refusal or error.message
        except ServiceError as error:
            if error.code != "NO_FORECAST":
                raise
            raise SetupError(f"the model is no forecaster: {error.message}", code="NO_FORECASTER") from None
        else:
            return shape
    raise SetupError(f"the model takes no window of {WINDOW} values: {refusal}", code="NO_FORECASTER")


def payload(windows: Sequence[Sequence[float]], shape: Shape) -> Payload:
    """Windows as one question.

    Args:
        windows: each with its six normalised values, the newest first.
        shape: as `shape_of` has found it.
    """
    return Payload(Kind.NDARRAY, np.asarray(windows, np.float64).reshape(-1, *shape))


def forecasts(answer: Payload, windows: int) -> list[float]:
    """The forecast for each window: the first element of its part of the answer, normalised as the values are.

    Args:
        answer: to the question that `payload` made.
        windows: how many were asked.

    Raises:
        ServiceError: ``NO_FORECAST``, the answer does not have a finite number for each window.
    """
    array = answer.array if answer.kind.is_array else np.empty(0)
    if array.ndim == 0 or array.shape[0] != windows or not array.size or array.dtype.kind not in "fiu":
        raise ServiceError(f"the answer does not have a number for each of {windows} windows", code="NO_FORECAST")
    first = array.reshape(windows, -1)[:, 0].astype(np.float64)
    if not np.isfinite(first).all():
        raise ServiceError("a forecast is not finite", code="NO_FORECAST")
    numbers: list[float] = first.tolist()
    return numbers
