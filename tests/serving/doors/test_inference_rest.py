"""The Open Inference Protocol over REST on a running server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    import httpx

A = {"name": "a", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]}
B = {"name": "b", "datatype": "INT64", "shape": [2, 1], "data": [[7], [-(1 << 60) - 1]]}
S = {"name": "s", "datatype": "BYTES", "shape": [2, 1], "data": ["ü", ""]}
INFER = "/v2/models/named/infer"


def test_server_and_model_tell_about_themselves(named_http: httpx.Client) -> None:
    assert named_http.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert named_http.get("/v2/health/live").json() == {"live": True}
    assert named_http.get("/v2/health/ready").json() == {"ready": True}
    for path in ("/v2/models/named", "/v2/models/named/versions/3"):
        assert named_http.get(f"{path}/ready").json() == {"name": "named", "ready": True}
        about = named_http.get(path).json()
        assert (about["name"], about["versions"]) == ("named", ["3"])
        assert about["inputs"][0] == {"name": "a", "datatype": "FP32", "shape": [-1, 2]}
        assert [tensor["datatype"] for tensor in about["outputs"]] == ["FP32", "INT64", "BYTES"]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ready":true}'])
def test_the_index_has_the_one_model(named_http: httpx.Client, body: bytes) -> None:
    answer = named_http.post("/v2/repository/index", content=body)
    assert answer.json() == [{"name": "named", "version": "3", "state": "READY", "reason": ""}]
    assert named_http.post("/v2/repository/index", content=b"{").status_code == 400


@pytest.mark.parametrize("path", [INFER, "/v2/models/named/versions/3/infer"])
def test_infer_in_json(named_http: httpx.Client, path: str) -> None:
    answer = named_http.post(path, json={"id": "42", "inputs": [A, B, S]}).json()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("42", "named", "3")
    outputs = {output["name"]: output for output in answer["outputs"]}
    assert outputs["y"] == {"name": "y", "datatype": "FP32", "shape": [2, 2], "data": [2, 4, 6, 8]}
    assert outputs["n"]["data"] == [7, -(1 << 60) - 1]
    assert outputs["t"]["data"] == ["ü", ""]


def test_only_the_outputs_that_are_asked_for(named_http: httpx.Client) -> None:
    answer = named_http.post(INFER, json={"inputs": [A, B, S], "outputs": [{"name": "n"}]}).json()
    assert [output["name"] for output in answer["outputs"]] == ["n"]


def test_binary_both_ways(named_http: httpx.Client) -> None:
    raw = np.array([[1, 2], [3, 4]], np.float32).tobytes()
    a = {"name": "a", "datatype": "FP32", "shape": [2, 2], "parameters": {"binary_data_size": len(raw)}}
    wanted = [{"name": "y", "parameters": {"binary_data": True}}, {"name": "n", "parameters": {"binary_data": False}}]
    head = json.dumps({"inputs": [a, B, S], "outputs": wanted}).encode()
    answer = named_http.post(INFER, content=head + raw, headers={"Inference-Header-Content-Length": str(len(head))})
    size = int(answer.headers["inference-header-content-length"])
    assert answer.headers["content-type"] == "application/octet-stream"
    np.testing.assert_array_equal(np.frombuffer(answer.content[size:], np.float32), [2, 4, 6, 8])
    assert json.loads(answer.content[:size])["outputs"][1]["data"] == [7, -(1 << 60) - 1]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v2/models/other/infer", {"inputs": [A, B, S]}, 404, "UNKNOWN_MODEL"),
        ("/v2/models/named/versions/4/infer", {"inputs": [A, B, S]}, 404, "UNKNOWN_VERSION"),
        ("/v2/nope", {}, 404, "NOT_FOUND"),
        ("/v2/health/live", {}, 405, "METHOD_NOT_ALLOWED"),
        (INFER, {"inputs": "x"}, 400, "BAD_INFER_REQUEST"),
        (INFER, {"inputs": [A | {"shape": [3]}, B, S]}, 400, "TENSOR_SHAPE_MISMATCH"),
        (INFER, {"inputs": [A, B]}, 400, "MODEL_INPUT"),
        (INFER, {"inputs": [A, B, S, S | {"name": "z"}]}, 400, "MODEL_INPUT"),
        (INFER, {"inputs": [A, B, S], "outputs": [{"name": "zz"}]}, 400, "MODEL_INPUT"),
    ],
)
def test_errors_have_the_protocols_form(
    named_http: httpx.Client, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    answer = named_http.post(path, json=body)
    assert answer.status_code == status
    assert answer.json().keys() == {"error"}
    assert answer.json()["error"].startswith(f"{code}: ")


@pytest.mark.parametrize("size", ["-1", "x", "99999999999999999999", "1000"])
def test_a_bad_header_length_is_refused(named_http: httpx.Client, size: str) -> None:
    answer = named_http.post(INFER, content=b"{}", headers={"Inference-Header-Content-Length": size})
    assert answer.status_code == 400
