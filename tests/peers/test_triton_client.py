"""NVIDIA's client of the Open Inference Protocol talks to ``penstock serve`` as it is, over each form of a tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.peers import servers
from tests.peers.models import every_datatype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.peers.servers import Server

    Script = Callable[..., Any]

pytestmark = [pytest.mark.peers, pytest.mark.xdist_group("peers")]

FORMS = {
    "grpc": {"transport": "grpc", "binary": True},
    "http binary": {"transport": "http", "binary": True},
    "http json": {"transport": "http", "binary": False},
}
VALUES: dict[str, list[Any]] = {
    "BOOL": [True, False, True],
    "UINT8": [0, 1, 255],
    "UINT16": [0, 1, 65535],
    "UINT32": [0, 1, 2**32 - 1],
    "UINT64": [0, 2**53 + 1, 2**64 - 1],
    "INT8": [-128, 0, 127],
    "INT16": [-32768, 0, 32767],
    "INT32": [-(2**31), 0, 2**31 - 1],
    "INT64": [-(2**63), 2**53 + 1, 2**63 - 1],
    "FP16": [0.5, -0.0, 65504.0],
    "FP32": [0.1, -0.0, 3.4e38],
    "FP64": [0.1, -0.0, 1.7e308],
    "BYTES": ["", "Blüte", "\N{TULIP}"],
}
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.2, 3.4, 5.4, 2.3]]


@pytest.fixture(scope="module")
def every_datatype_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("every")
    with servers.penstock(every_datatype(folder / "every.onnx", VALUES), folder / "every.log") as server:
        yield server


def _ask(script: Script, server: Server, model: str, calls: list[dict[str, Any]]) -> Any:
    return script({"grpc": server.grpc, "http": server.rest.removeprefix("http://"), "model": model, "calls": calls})


@pytest.mark.parametrize("form", FORMS)
def test_every_datatype_comes_back_as_it_was_sent(
    form: str, triton_client: Script, every_datatype_server: Server
) -> None:
    inputs = [{"name": name, "datatype": name, "shape": [3], "values": values} for name, values in VALUES.items()]
    calls = [{**FORMS[form], "inputs": inputs, "outputs": [f"{name}_out" for name in VALUES]}]
    (answer,) = _ask(triton_client, every_datatype_server, "every", calls)["answers"]
    outputs = answer["outputs"]
    for name, values in VALUES.items():
        assert outputs[f"{name}_out"]["datatype"] == name
        assert outputs[f"{name}_out"]["shape"] == [3]
        assert _in_type(outputs[f"{name}_out"]["values"], name) == _in_type(values, name)


def _in_type(values: list[Any], datatype: str) -> list[Any]:
    """Floats as the bits that their type has; everything else as it is."""
    widths = {"FP16": np.float16, "FP32": np.float32, "FP64": np.float64}
    return np.array(values, widths[datatype]).view(np.uint8).tolist() if datatype in widths else values


@pytest.mark.parametrize("form", FORMS)
def test_iris_is_classified(form: str, triton_client: Script, penstock_onnx_server: Server) -> None:
    report = _ask(triton_client, penstock_onnx_server, "iris", [_iris_call(form, [2, 4], ROWS)])
    output = report["answers"][0]["outputs"]["probabilities"]
    assert output["shape"] == [2, 3]
    assert np.argmax(np.reshape(output["values"], (2, 3)), axis=1).tolist() == [0, 2]


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_the_service_tells_about_itself(transport: str, triton_client: Script, penstock_onnx_server: Server) -> None:
    about = _ask(triton_client, penstock_onnx_server, "iris", [])["about"][transport]
    assert (about["live"], about["ready"], about["model_ready"]) == (True, True, True)
    assert about["model"]["name"] == "iris"
    (declared,) = about["model"]["inputs"]
    assert declared["datatype"] == "FP32"
    assert [int(size) for size in declared["shape"]] == [-1, 4]
    assert about["server"]["name"]


@pytest.mark.parametrize("form", FORMS)
def test_a_wrong_shape_is_refused_with_a_text(form: str, triton_client: Script, penstock_onnx_server: Server) -> None:
    report = _ask(triton_client, penstock_onnx_server, "iris", [_iris_call(form, [1, 3], [1.0, 2.0, 3.0])])
    answer = report["answers"][0]
    assert answer["error"]
    assert answer["status"] in ("400", "StatusCode.INVALID_ARGUMENT")


def _iris_call(form: str, shape: list[int], values: Any) -> dict[str, Any]:
    inputs = [{"name": "X", "datatype": "FP32", "shape": shape, "values": values}]
    return {**FORMS[form], "inputs": inputs, "outputs": ["probabilities"]}
