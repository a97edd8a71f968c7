"""Every recorded request to seldon-core's microservice, answered the same here but for the listed differences.

`golden_differences.json` lists per recording and transport which part of the answer differs, and for which reason.
A difference that is not listed fails, and so does a listed one that is none any more. ``here`` tells what the parts
are instead: errors by their code, the rest by value.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict

from penstock.proto import prediction_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import Served

HERE = Path(__file__).parent
GOLDEN = HERE.parents[2] / "shared" / "golden"
VERSIONS = ("seldon-1.18.2", "seldon-1.19.0")
LISTED = json.loads((HERE / "golden_differences.json").read_text())

pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the recordings are not beside the project")


def recordings() -> list[tuple[str, str, dict[str, Any]]]:
    found = []
    for version in VERSIONS:
        for path in sorted((GOLDEN / version).glob("*.json")):
            content = json.loads(path.read_text())
            if path.stem == "_misc":
                found += [(version, f"_misc/{name}", case) for name, case in content.items()]
            else:
                found += [(version, path.stem, content)]
    return found


RECORDINGS = recordings() if GOLDEN.is_dir() else []


@pytest.fixture(scope="module")
def service(serve: Callable[..., Served]) -> Served:
    return serve("golden")


@pytest.fixture(scope="module")
def http(service: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.http, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def channel(service: Served) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(service.grpc) as channel:
        yield channel


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, int | float) and not isinstance(other, bool):
        return math.isclose(one, other, rel_tol=1e-5)
    return type(one) is type(other) and one == other


def parts(answer: Any) -> dict[str, Any]:
    """An answer by its parts: those of data, meta and status one by one."""
    if not isinstance(answer, dict):
        return {"body": answer}
    split: dict[str, Any] = {}
    for key, value in answer.items():
        if key in {"data", "meta", "status"} and isinstance(value, dict):
            split |= {f"{key}.{inner}": item for inner, item in value.items()}
        else:
            split[key] = value
    return split


def differing(recorded: dict[str, Any], answered: dict[str, Any]) -> dict[str, Any]:
    """The parts that differ, as they were answered; None where the answer has no such part."""
    return {
        key: answered.get(key)
        for key in recorded.keys() | answered.keys()
        if key not in recorded or key not in answered or not same(recorded[key], answered[key])
    }


def rest_parts(status: int, headers: Any, body: Any) -> dict[str, Any]:
    # (The recordings have the content type of gunicorn, charset and all.)
    return {
        "http": status,
        "content-type": headers["Content-Type"],
        "access-control-allow-origin": headers["Access-Control-Allow-Origin"],
        **parts(body),
    }


def ask_rest(http: httpx.Client, recorded: dict[str, Any], request: httpx.Request) -> dict[str, Any]:
    answer = http.send(request)
    body = answer.json() if answer.headers["content-type"] == "application/json" else answer.text
    return differing(
        rest_parts(recorded["http"], recorded["headers"], recorded["body"]),
        rest_parts(answer.status_code, answer.headers, body),
    )


def ask_grpc(channel: grpc.Channel, recorded: dict[str, Any], path: str, body: bytes, reply: Any) -> dict[str, Any]:
    try:
        answer = reply.FromString(channel.unary_unary(f"/seldon.protos.{path}", None, None)(body))
        answered = {"code": "OK", **parts(MessageToDict(answer))}
    except grpc.RpcError as error:
        answered = {"code": error.code().name, "details": error.details()}
    expected = {"code": recorded["code"], **parts(recorded.get("json", {}))}
    if "details" in recorded:
        expected["details"] = recorded["details"]
    return differing(expected, answered)


def ask_payload(http: httpx.Client, channel: grpc.Channel, recording: dict[str, Any]) -> dict[str, dict[str, Any]]:
    request = recording["request"]
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for transport, recorded in recording.items():
        if transport.startswith("rest:"):
            found["rest"] |= ask_rest(http, recorded, http.build_request("POST", transport[5:], json=request))
        elif transport.startswith("grpc:") and "client_encode_error" not in recorded:
            body = ParseDict(request, pb.SeldonMessage()).SerializeToString()
            found["grpc"] |= ask_grpc(channel, recorded, transport[5:], body, pb.SeldonMessage)
    return found


def ask_misc(http: httpx.Client, channel: grpc.Channel, name: str, case: dict[str, Any]) -> dict[str, dict[str, Any]]:
    if name.startswith("grpc_"):
        calls = {
            "grpc_Model_Metadata": ("Model/Metadata", b"", pb.SeldonModelMetadata),
            "grpc_Seldon_ModelMetadata": ("Seldon/ModelMetadata", b"", pb.SeldonModelMetadata),
            "grpc_Seldon_GraphMetadata": ("Seldon/GraphMetadata", b"", pb.SeldonGraphMetadata),
            "grpc_bad_method": ("Seldon/NoSuchMethod", b"", pb.SeldonMessage),
            "grpc_bad_bytes": ("Seldon/Predict", b"\xff\xff\xff\xff", pb.SeldonMessage),
        }
        recorded = case if "code" in case else {"code": "OK", "json": case}
        return {"grpc": ask_grpc(channel, recorded, *calls[name])}
    method, path, body, *content_type = case["request"]
    kind = content_type[0] if content_type else "application/json" if body else None
    request = http.build_request(method, path, content=body, headers={"Content-Type": kind} if kind else None)
    return {"rest": ask_rest(http, case, request)}


def listed(name: str, version: str, transport: str) -> tuple[set[str], dict[str, Any]]:
    """The parts listed for a recording, and what they are here; those of one version only included."""
    differs: set[str] = set()
    here: dict[str, Any] = {}
    for entry in LISTED["differences"]:
        wanted = (entry["golden"], entry["transport"], entry.get("version", version))
        if wanted == (name, transport, version):
            differs |= set(entry["differs"])
            here |= entry.get("here", {})
    return differs, here


def check(transport: str, found: dict[str, Any], differs: set[str], here: dict[str, Any]) -> None:
    new, gone = found.keys() - differs, differs - found.keys()
    assert not new, f"{transport}: these parts differ and are not listed: {sorted(new)}"
    assert not gone, f"{transport}: these parts are listed but do not differ: {sorted(gone)}"
    for part, value in here.items():
        answered = found[part].partition(": ")[0] if part in {"status.info", "details"} else found[part]
        assert same(value, answered), f"{transport}: {part} is {answered!r}, not {value!r} as listed"


@pytest.mark.parametrize(
    ("version", "name", "recording"), RECORDINGS, ids=[f"{version}/{name}" for version, name, _ in RECORDINGS]
)
def test_recording(
    version: str, name: str, recording: dict[str, Any], http: httpx.Client, channel: grpc.Channel
) -> None:
    if name in LISTED["not_replayed"]:
        pytest.skip(LISTED["not_replayed"][name])
    if name.startswith("_misc/"):
        found = ask_misc(http, channel, name.removeprefix("_misc/"), recording)
    else:
        found = ask_payload(http, channel, recording)
    for transport in ("rest", "grpc"):
        check(transport, found.get(transport, {}), *listed(name, version, transport))


def test_the_list_has_a_reason_for_each_and_nothing_stale() -> None:
    known = {name for _, name, _ in RECORDINGS}
    for entry in LISTED["differences"]:
        assert entry["golden"] in known
        assert set(entry["because"]) <= LISTED["reasons"].keys()
        assert entry["because"]
    used = {reason for entry in LISTED["differences"] for reason in entry["because"]}
    assert used == LISTED["reasons"].keys()


def test_a_tftensor_is_answered_with_the_numbers_recorded_for_a_tensor(channel: grpc.Channel) -> None:
    content = json.loads((GOLDEN / VERSIONS[0] / "tftensor_content.json").read_text())
    recorded = json.loads((GOLDEN / VERSIONS[0] / "tensor.json").read_text())
    body = ParseDict(content["request"], pb.SeldonMessage()).SerializeToString()
    answer = pb.SeldonMessage.FromString(channel.unary_unary("/seldon.protos.Seldon/Predict", None, None)(body))
    numbers = np.frombuffer(answer.data.tftensor.tensor_content, np.float32)
    expected = recorded["grpc:Seldon/Predict"]["json"]["data"]["tensor"]["values"]
    np.testing.assert_allclose(numbers, expected, rtol=1e-5)
