"""Seldon's REST API on a running server."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..conftest import Gate, Served

ROWS = {"data": {"ndarray": [[1, 2], [3, 4]]}}
PREDICT = [
    "/predict",
    "/api/v1.0/predictions",
    "/api/v0.1/predictions",
    "/seldon/any/name/api/v1.0/predictions",
    "/seldon/any/name/api/v0.1/predictions",
    "/model-endpoints/name",
]
FEEDBACK = [
    "/send-feedback",
    "/api/v1.0/feedback",
    "/api/v0.1/feedback",
    "/seldon/any/name/api/v1.0/feedback",
    "/seldon/any/name/api/v0.1/feedback",
]


def failure(answer: httpx.Response) -> tuple[int, str, str]:
    """HTTP status, our code, Seldon's reason."""
    status = answer.json()["status"]
    assert (status["status"], status["code"]) == (1, -1)
    code, separator, text = status["info"].partition(": ")
    assert separator
    assert text
    return answer.status_code, code, status["reason"]


@pytest.mark.parametrize("path", PREDICT)
def test_every_prediction_path(http: httpx.Client, path: str) -> None:
    answer = http.post(path, json=ROWS)
    assert answer.status_code == 200
    assert answer.json()["data"]["ndarray"] == [[1, 2], [3, 4]]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "server" not in answer.headers


@pytest.mark.parametrize("path", FEEDBACK)
def test_every_feedback_path(http: httpx.Client, path: str) -> None:
    answer = http.post(path, json={"request": ROWS, "reward": 0.0})
    assert answer.status_code == 200
    assert len(answer.json()["data"]["ndarray"]) == 1


@pytest.mark.parametrize(
    "form",
    [
        {"json": ROWS},
        {"content": json.dumps(ROWS)},
        {"content": json.dumps(ROWS), "headers": {"content-type": "application/json; charset=utf-8"}},
        {"content": json.dumps(ROWS), "headers": {"content-type": "application/vnd.seldon+json"}},
        {"content": json.dumps(ROWS), "headers": {"content-type": "application/x-www-form-urlencoded"}},
        {"data": {"json": json.dumps(ROWS)}},
        {"params": {"json": json.dumps(ROWS)}},
        {"files": {"data": (None, json.dumps(ROWS["data"]))}},
        {"files": {"data": ("data.json", json.dumps(ROWS["data"]))}},
        {"content": gzip.compress(json.dumps(ROWS).encode()), "headers": {"content-encoding": "gzip"}},
    ],
    ids=["json", "no type", "charset", "+json", "curl -d", "form", "query", "part", "file part", "gzip"],
)
def test_every_body_form(http: httpx.Client, form: dict[str, Any]) -> None:
    answer = http.post("/predict", **form)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["ndarray"] == [[1, 2], [3, 4]]


def test_get_with_query(http: httpx.Client) -> None:
    assert http.get("/predict", params={"json": json.dumps(ROWS)}).json()["data"]["ndarray"] == [[1, 2], [3, 4]]


def test_multipart_files_are_bytes_and_text(http: httpx.Client) -> None:
    answer = http.post("/predict", files={"binData": ("b", b"\x00\xff"), "meta": (None, '{"puid": "p"}')})
    assert answer.json()["binData"] == "AP8="
    assert answer.json()["meta"]["puid"] == "p"
    assert http.post("/predict", files={"strData": ("t", "grüße")}).json()["strData"] == "grüße"
    assert http.post("/predict", files={"strData": (None, "grüße")}).json()["strData"] == "grüße"
    assert http.post("/predict", files={"binData": (None, '"AP8="')}).json()["binData"] == "AP8="


def test_puid_goes_in_and_out(http: httpx.Client) -> None:
    answer = http.post("/predict", json=ROWS, headers={"Seldon-Puid": "from-header"})
    assert answer.json()["meta"]["puid"] == answer.headers["seldon-puid"] == "from-header"
    answer = http.post("/predict", json=ROWS | {"meta": {"puid": "from-body"}})
    assert answer.json()["meta"]["puid"] == answer.headers["seldon-puid"] == "from-body"
    made = http.post("/predict", json=ROWS)
    assert made.json()["meta"]["puid"] == made.headers["seldon-puid"] != ""


def test_puid_cannot_add_a_header(http: httpx.Client) -> None:
    answer = http.post("/predict", json=ROWS | {"meta": {"puid": "a\r\nX-Evil: 1"}})
    assert answer.status_code == 200
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize("puid", [b"a\x7fb", b"caf\xc3\xa9", b"a\tb"])
def test_an_odd_puid_in_the_header_is_no_failure_of_ours(http: httpx.Client, puid: bytes) -> None:
    for body in (ROWS, {"foo": 1}):
        assert http.post("/predict", json=body, headers={b"Seldon-Puid": puid}).status_code < 500


def test_units(http: httpx.Client) -> None:
    assert http.post("/transform-input", json=ROWS).json()["data"]["ndarray"] == [[2, 4], [6, 8]]
    assert http.post("/transform-output", json=ROWS).json()["data"]["ndarray"] == [[0.5, 1], [1.5, 2]]
    assert http.post("/route", json=ROWS).json()["data"]["ndarray"] == [[1]]
    assert http.post("/aggregate", json={"seldonMessages": [ROWS, ROWS]}).json()["data"]["ndarray"] == [[2, 4], [6, 8]]


def test_calls_that_the_model_has_not(serve: Callable[..., Served]) -> None:
    with httpx.Client(base_url=serve("golden").http, timeout=60) as http:
        assert failure(http.post("/route", json=ROWS))[0] == 400
        assert failure(http.post("/aggregate", json={"seldonMessages": [ROWS]}))[0] == 400


def test_health_and_metadata(http: httpx.Client) -> None:
    assert http.get("/health/ping").text == "pong"
    assert http.get("/health/status").json()["strData"] == "healthy"
    assert http.get("/api/v1.0/health/status").status_code == 200
    assert set(http.get("/metadata").json()) >= {"name", "versions", "platform", "inputs", "outputs", "custom"}
    assert http.get("/metadata").content == http.get("/api/v1.0/metadata").content


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"content": b""}, 400, "NO_JSON"),
        ({"content": b"{"}, 400, "INVALID_JSON"),
        ({"content": b"\xff\xfe"}, 400, "INVALID_JSON"),
        ({"content": b"[1]"}, 400, "NOT_AN_OBJECT"),
        ({"json": {"foo": 1}}, 400, "UNKNOWN_KEY"),
        ({"json": {"strData": "a", "jsonData": 1}}, 400, "SEVERAL_PAYLOADS"),
        ({"json": {"binData": "***"}}, 400, "BAD_BASE64"),
        ({"content": b"<a/>", "headers": {"content-type": "application/xml"}}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content": b"x", "headers": {"content-encoding": "br"}}, 415, "UNSUPPORTED_ENCODING"),
        ({"content": b"x", "headers": {"content-encoding": "gzip"}}, 400, "BAD_ENCODING"),
        ({"content": b"json=%ff", "headers": {"content-type": "application/x-www-form-urlencoded"}}, 400, "BAD_FORM"),
        ({"content": b"--", "headers": {"content-type": "multipart/form-data"}}, 400, "BAD_FORM"),
        ({"content": b"--B\r\nCon", "headers": {"content-type": "multipart/form-data; boundary=B"}}, 400, "BAD_FORM"),
        ({"content": b"garbage", "headers": {"content-type": "multipart/form-data; boundary=B"}}, 400, "BAD_FORM"),
        ({"files": {"data": (None, "{")}}, 400, "INVALID_JSON"),
        ({"files": {"strData": (None, b"\xff")}}, 400, "BAD_TEXT"),
        ({"files": [("strData", (None, "a")), ("strData", (None, "b"))]}, 400, "BAD_FORM"),
        ({"files": [(f"k{n}", (None, "1")) for n in range(100)]}, 400, "BAD_FORM"),
    ],
)
def test_what_the_caller_did_wrong(http: httpx.Client, request_: dict[str, Any], status: int, code: str) -> None:
    assert failure(http.post("/predict", **request_)) == (status, code, "MICROSERVICE_BAD_DATA")


def test_not_found_and_wrong_method_have_their_real_status(http: httpx.Client) -> None:
    assert failure(http.get("/nope"))[:2] == (404, "NOT_FOUND")
    assert failure(http.put("/predict"))[:2] == (405, "METHOD_NOT_ALLOWED")
    assert failure(http.get("/api/v1.0/predictions"))[:2] == (405, "METHOD_NOT_ALLOWED")


def test_options_and_head(http: httpx.Client) -> None:
    answer = http.options("/predict")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["allow"] == "POST, GET, OPTIONS"
    assert http.options("/nope").status_code == 404
    answer = http.head("/health/ping")
    assert (answer.status_code, answer.content) == (200, b"")


def test_what_the_model_raised_stays_in_the_log(http: httpx.Client) -> None:
    answer = http.post("/predict", json={"strData": "boom"})
    assert failure(answer)[0] == 500
    assert "swordfish" not in answer.text


def test_deadline(serve: Callable[..., Served], gate: Gate) -> None:
    with httpx.Client(base_url=serve("units", deadline=0.2).http, timeout=60) as http:
        assert failure(http.post("/predict", json={"strData": gate.text}))[:2] == (504, "DEADLINE_EXCEEDED")


@pytest.fixture(scope="module")
def small(serve: Callable[..., Served]) -> Iterator[httpx.Client]:
    from penstock.proto import Limits

    with httpx.Client(base_url=serve("units", limits=Limits(message_bytes=100_000)).http, timeout=60) as http:
        yield http


def test_too_large_with_its_length_told(small: httpx.Client) -> None:
    assert failure(small.post("/predict", content=b" " * 2_000_000))[:2] == (413, "MESSAGE_TOO_LARGE")
    assert small.post("/predict", json=ROWS).status_code == 200


def test_too_large_in_pieces(small: httpx.Client) -> None:
    answer = small.post("/predict", content=(b" " * 10_000 for _ in range(50)))
    assert failure(answer)[:2] == (413, "MESSAGE_TOO_LARGE")
    assert small.post("/predict", json=ROWS).status_code == 200


def test_too_large_once_inflated(small: httpx.Client) -> None:
    body = gzip.compress(b" " * 5_000_000)
    assert len(body) < 100_000
    answer = small.post("/predict", content=body, headers={"content-encoding": "gzip"})
    assert failure(answer)[:2] == (413, "MESSAGE_TOO_LARGE")


def test_requests_are_counted(http: httpx.Client) -> None:
    http.post("/predict", json=ROWS)
    http.get("/nope")
    text = http.get("/metrics").text
    assert "seldon-rest" in text
    assert '"404"' in text
