"""The real model and the real readings, which are beside the project where it is developed."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from penstock.streams.mqtt import Client
from penstock.streams.mqtt.questions import questions

if TYPE_CHECKING:
    from penstock.deploy.mqtt import Broker

    from .conftest import Case, Serving

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
MODEL, READINGS = DATA / "LSTM_single_series.tflite", DATA / "bts_1161114002_122.csv"

pytestmark = pytest.mark.skipif(not MODEL.exists(), reason="needs ../shared/data")


def by_hand(count: int) -> list[float]:
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]  # it has no types

    interpreter = Interpreter(str(MODEL))
    interpreter.allocate_tensors()
    inside, outside = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    with READINGS.open(newline="") as file:
        values = [float(row["norm_value"]) for row in csv.DictReader(file)]
    forecasts = []
    for end in range(6, 6 + count):
        newest_first = values[end - 6 : end][::-1]
        interpreter.set_tensor(inside["index"], np.array(newest_first, np.float32).reshape(1, 6, 1))
        interpreter.invoke()
        forecasts.append(float(interpreter.get_tensor(outside["index"]).ravel()[0]))
    return forecasts


async def test_forecasts_agree_with_the_model_run_by_hand(local: Broker, case: Case, serving: Serving) -> None:
    count = sum(1 for _ in questions(READINGS))
    settings = case.settings(model={"path": str(MODEL)})
    async with serving(settings), Client(case.client_settings(concurrency=64)) as client:
        replies = [reply async for reply in client.ask_all(questions(READINGS))]
    answered = [json.loads(reply.payload)["LSTM"] for reply in replies if not isinstance(reply, Exception)]
    assert count == 3419
    assert answered == by_hand(count)
