"""The flower of the ONNX tutorial, asked of a real `penstock serve` in each of the six kinds through each door."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.client import Client
from penstock.proto import Kind, Payload, convert, payload_of

IRIS = Path(__file__).parents[3] / "shared" / "data" / "iris.onnx"
pytestmark = pytest.mark.skipif(not IRIS.exists(), reason="../shared/data/iris.onnx is not here")

ROW = [[2, 5, 1, 4]]
REQUESTS = [
    payload_of(ROW, Kind.NDARRAY),
    payload_of(np.array(ROW, float), Kind.TENSOR),
    payload_of(np.array(ROW, np.float32), Kind.TFTENSOR),
    Payload(Kind.JSON_DATA, ROW),
    Payload(Kind.JSON_DATA, {"float_input": ROW}),
    Payload(Kind.STR_DATA, "[[2,5,1,4]]"),
    Payload(Kind.BIN_DATA, b"[[2,5,1,4]]"),
]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, str]]:
    command = [
        sys.executable,
        "-m",
        "penstock.cli",
        "serve",
        "--model",
        str(IRIS),
        "--grpc-port",
        "0",
        "--http-port",
        "0",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as process:
        assert process.stdout is not None
        ready = re.search(r"grpc=(\S+) http=(\S+)", process.stdout.readline())
        assert ready is not None
        yield ready[1], ready[2]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.parametrize("door", [0, 1], ids=["grpc", "rest"])
@pytest.mark.parametrize("request_payload", REQUESTS, ids=lambda payload: f"{payload.kind}-{payload.value!r:.16}")
def test_label_and_probabilities(served: tuple[str, str], door: int, request_payload: Payload) -> None:
    with Client(served[door]) as client:
        answer = client.predict(request_payload)
    assert answer.kind is request_payload.kind
    label, *probabilities = row_of(answer.payload)
    assert label == 1
    np.testing.assert_allclose(probabilities, [0.39, 0.47, 0.14], atol=1e-5)


def row_of(payload: Any) -> list[float]:
    if payload.kind is Kind.JSON_DATA:
        return [*payload.value["output_label"], *payload.value["output_probability"][0]]
    array = payload if payload.kind.is_array else convert(payload, Kind.NDARRAY)
    return [float(number) for number in array.array[0]]


def test_predict_from_the_shell(served: tuple[str, str]) -> None:
    command = [
        sys.executable,
        "-m",
        "penstock.cli",
        "predict",
        "--address",
        served[0],
        "--format",
        "ndarray",
        "[[2,5,1,4]]",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout)[0][0] == 1


def test_curl(served: tuple[str, str]) -> None:
    body = b'{"data":{"ndarray":[[2,5,1,4]]}}'
    request = urllib.request.Request(f"{served[1]}/api/v1.0/predictions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as reply:
        assert json.load(reply)["data"]["ndarray"][0][0] == 1
