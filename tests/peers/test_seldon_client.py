"""The reference client of seldon-core talks to ``penstock serve`` as it is.

Each call also goes to a real seldon-core with the same model, and the two answers are compared.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.peers.servers import Server

    Script = Callable[..., Any]

pytestmark = [pytest.mark.peers, pytest.mark.xdist_group("peers")]

ROWS = [[5.1, 3.5, 1.4, 0.2], [6.2, 3.4, 5.4, 2.3]]
REQUEST = {"data": {"names": ["a", "b"], "ndarray": [[1.0, 2.0]]}}
PAYLOADS: dict[str, dict[str, Any]] = {
    "ndarray": {"data": ROWS, "payload_type": "ndarray", "names": ["a", "b", "c", "d"]},
    "tensor": {"data": ROWS, "payload_type": "tensor", "names": ["a", "b", "c", "d"]},
    "binData": {"bin_data": base64.b64encode(bytes(range(256))).decode()},
    "strData": {"str_data": "Blütenblätter \N{TULIP}"},
    "jsonData": {"json_data": {"flower": {"petals": [1.5, None, True], "name": "iris"}}},
}
METHODS: dict[str, dict[str, Any]] = {
    "transform-input": {"method": "transform-input", "data": ROWS, "payload_type": "tensor"},
    "transform-output": {"method": "transform-output", "data": ROWS, "payload_type": "ndarray"},
    "route": {"method": "route", "data": ROWS, "payload_type": "ndarray"},
    "aggregate": {"method": "aggregate", "datas": [ROWS, ROWS], "payload_type": "tensor"},
}
_EXECUTORS = ("puid", "requestPath", "routing")
FEEDBACK = {"prediction_request": REQUEST, "prediction_response": REQUEST, "reward": 0.5}


def _call(call: str, transport: str, /, **arguments: Any) -> dict[str, Any]:
    return {"method": call, "transport": transport, "arguments": arguments}


def calls() -> dict[str, dict[str, Any]]:
    """Everything that the client can ask of a single model, by name."""
    named: dict[str, dict[str, Any]] = {}
    for transport in ("grpc", "rest"):
        for kind, payload in PAYLOADS.items():
            named[f"{transport} microservice {kind}"] = _call("microservice", transport, method="predict", **payload)
            named[f"{transport} predict {kind}"] = _call("predict", transport, gateway_prefix="", **payload)
        for name, arguments in METHODS.items():
            named[f"{transport} {name}"] = _call("microservice", transport, **arguments)
        named[f"{transport} microservice feedback"] = _call("microservice_feedback", transport, **FEEDBACK)
        named[f"{transport} feedback"] = _call("feedback", transport, gateway_prefix="", **FEEDBACK)
    return named


CALLS = calls()


def _ask(script: Script, server: Server) -> dict[str, dict[str, Any]]:
    addresses = {"grpc": server.grpc, "rest": server.rest.removeprefix("http://")}
    return dict(zip(CALLS, script({**addresses, "calls": list(CALLS.values())}), strict=True))


@pytest.fixture(scope="module")
def ours(seldon_client: Script, penstock_server: Server) -> dict[str, dict[str, Any]]:
    return _ask(seldon_client, penstock_server)


@pytest.fixture(scope="module")
def theirs(seldon_client: Script, seldon_server: Server) -> dict[str, dict[str, Any]]:
    return _ask(seldon_client, seldon_server)


def _comparable(response: dict[str, Any]) -> dict[str, Any]:
    """Without what Penstock fills in and a microservice of Seldon leaves to the executor in front of it."""
    meta = {key: value for key, value in response.get("meta", {}).items() if key not in _EXECUTORS}
    return {**response, "meta": meta}


@pytest.mark.parametrize("name", CALLS)
def test_the_answer_is_that_of_seldon_core(name: str, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    mine, reference = ours[name], theirs[name]
    assert mine["success"], mine["message"]
    assert reference["success"], reference["message"]
    assert _comparable(mine["response"]) == _comparable(reference["response"])


@pytest.mark.parametrize("transport", ["grpc", "rest"])
@pytest.mark.parametrize("kind", ["ndarray", "tensor"])
def test_the_answer_is_the_right_one(transport: str, kind: str, ours: dict[str, Any]) -> None:
    data = ours[f"{transport} microservice {kind}"]["response"]["data"]
    values = data["ndarray"] if kind == "ndarray" else data["tensor"]["values"]
    assert np.argmax(np.reshape(values, (2, 3)), axis=1).tolist() == [0, 2]
    assert data["names"] == ["setosa", "versicolor", "virginica"]


def test_a_refusal_reaches_the_client_with_its_reason(seldon_client: Script, penstock_server: Server) -> None:
    wrong = {"data": [["x", "y"]], "payload_type": "ndarray"}
    asked = [_call("microservice", transport, method="predict", **wrong) for transport in ("grpc", "rest")]
    addresses = {"grpc": penstock_server.grpc, "rest": penstock_server.rest.removeprefix("http://")}
    over_grpc, over_rest = seldon_client({**addresses, "calls": asked})
    assert not over_grpc["success"]
    assert "StatusCode.INTERNAL" in over_grpc["message"]
    assert not over_rest["success"]
    assert over_rest["response"]["status"]["info"]
