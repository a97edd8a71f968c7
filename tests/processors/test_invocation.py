"""Content to a real service and back, without NiFi."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from penstock.processors.connections import Clients
from penstock.processors.invocation import Invocation, Request
from penstock.processors.lineage import trace_headers
from penstock.processors.outcomes import FAILURE, RETRY, SUCCESS, Outcome
from penstock.processors.settings import Connection, Formats, Rows
from penstock.proto import Kind, Payload, encode

from .conftest import DOUBLE, ECHO, LABEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.client.conftest import GrpcServer
    from tests.serving.conftest import Served


IMAGE = bytes(range(256)) * 100


@pytest.fixture
def invoke(serve_source: Callable[..., Served]) -> Iterator[Callable[..., Outcome]]:
    """``invoke(source, content, …)`` asks a service of that source."""
    clients = Clients()

    def ask(
        source: str,
        content: bytes,
        formats: Formats | None = None,
        *,
        protocol: str = "grpc",
        served_as: str = "echo",
        model: str = "echo",
        names: str | None = None,
        puid: str | None = None,
    ) -> Outcome:
        lease = clients.lease(Connection(getattr(serve_source(source, served_as), protocol)))
        try:
            return Invocation(lease, formats or Formats())(Request(content, model, names, puid))
        finally:
            lease.give_back()

    yield ask
    assert len(clients) == 0


def tftensor() -> bytes:
    import numpy as np

    return encode(Payload(Kind.TFTENSOR, np.array([[1.5, 2.5]], dtype=np.float32)))


CONTENTS = {
    Kind.BIN_DATA: (IMAGE, "application/octet-stream"),
    Kind.STR_DATA: ("any string é".encode(), "text/plain"),
    Kind.JSON_DATA: (b'{"a":[1.5,2.5]}', "application/json"),
    Kind.NDARRAY: (b"[[1.0,2.0],[4.0,5.0]]", "application/json"),
    Kind.TENSOR: (b'{"shape":[2,2],"values":[1.0,2.0,3.0,4.0]}', "application/json"),
    Kind.TFTENSOR: (tftensor(), "application/x-protobuf"),
}


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("kind", list(Kind))
def test_every_format_there_and_back(invoke: Callable[..., Outcome], kind: Kind, protocol: str) -> None:
    content, mime_type = CONTENTS[kind]
    outcome = invoke(ECHO, content, Formats(kind), protocol=protocol)
    assert (outcome.relationship, outcome.contents) == (SUCCESS, content)
    assert outcome.attributes["mime.type"] == mime_type
    assert outcome.attributes["invokemodel.model"] == "echo"
    assert outcome.attributes["invokemodel.puid"]
    assert float(outcome.attributes["invokemodel.latency.ms"]) > 0


def test_another_output_format_and_names(invoke: Callable[..., Outcome]) -> None:
    formats = Formats(Kind.NDARRAY, Kind.TENSOR)
    outcome = invoke(ECHO, b"[[1,2]]", formats, names='["x, y","z"]', puid="p-1")
    assert outcome.contents == b'{"shape":[1,2],"values":[1.0,2.0]}'
    assert outcome.attributes["invokemodel.puid"] == "p-1"
    assert json.loads(outcome.attributes["invokemodel.names"]) == ["x, y", "z"]


def test_rows_in_one_call_and_in_their_order(invoke: Callable[..., Outcome]) -> None:
    content = "".join(f"[{number},{number + 0.5}]\n" for number in range(500)).encode()
    outcome = invoke(DOUBLE, content, Formats(rows=Rows.ONE_PER_LINE))
    assert outcome.contents is not None
    lines = outcome.contents.decode().splitlines()
    assert [json.loads(line) for line in lines] == [[2 * number, 2 * number + 1] for number in range(500)]
    assert outcome.attributes["mime.type"] == "application/x-ndjson"
    assert outcome.attributes["invokemodel.names"] == "a,b"


def test_rows_of_text_and_numbers(invoke: Callable[..., Outcome]) -> None:
    outcome = invoke(LABEL, b"[1,2]\n[6,1]\n", Formats(rows=Rows.ONE_PER_LINE))
    assert outcome.contents == b'["small",2.0]\n["big",6.0]\n'


@pytest.mark.parametrize(
    ("source", "content", "formats", "code", "says"),
    [
        (ECHO, b"[[1,2", Formats(), "INVALID_JSON", ""),
        (ECHO, b"\xff", Formats(Kind.STR_DATA), "BAD_TEXT", ""),
        (DOUBLE, b"[[13,1]]", Formats(), "MODEL_FAILED", ""),
        (LABEL, b"[[1,2]]", Formats(Kind.TENSOR), "BAD_TENSOR", ""),
        (LABEL, b"[[1,2]]", Formats(output=Kind.TENSOR), "NOT_NUMERIC", ""),
        (ECHO, b"[1]\n[2\n", Formats(rows=Rows.ONE_PER_LINE), "INVALID_JSON", "line 2"),
        (DOUBLE, b"[1,2]\n" * 99, Formats(rows=Rows.ONE_PER_LINE), "ROW_COUNT", "2 rows for 99 lines"),
    ],
)
def test_what_goes_wrong_is_an_outcome(
    invoke: Callable[..., Outcome], source: str, content: bytes, formats: Formats, code: str, says: str
) -> None:
    outcome = invoke(source, content, formats)
    assert (outcome.relationship, outcome.contents) == (FAILURE, None)
    assert outcome.attributes["invokemodel.error.code"] == code
    assert says in outcome.attributes["invokemodel.error.message"]


def test_another_model_answers(invoke: Callable[..., Outcome]) -> None:
    outcome = invoke(ECHO, b"[[1]]", served_as="iris", model="wine")
    assert outcome.relationship == FAILURE
    assert outcome.attributes["invokemodel.error.code"] == "WRONG_MODEL"
    assert "'iris' answered" in outcome.attributes["invokemodel.error.message"]


def test_nobody_answers(free_port: int) -> None:
    clients = Clients()
    lease = clients.lease(Connection(f"127.0.0.1:{free_port}", retries=0))
    outcome = Invocation(lease, Formats())(Request(b"[[1]]", "iris"))
    lease.give_back()
    assert (outcome.relationship, outcome.contents) == (RETRY, None)
    assert outcome.attributes["invokemodel.error.code"] == "UNAVAILABLE"
    assert outcome.after_error() == outcome
    assert Outcome(SUCCESS).after_error().attributes["invokemodel.error.code"] == ""


def test_the_name_and_the_trace_travel_along(grpc_echo: GrpcServer) -> None:
    clients = Clients()
    lease = clients.lease(Connection(grpc_echo.address))
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    outcome = Invocation(lease, Formats())(Request(b"[[1]]", "iris", trace=trace_headers(trace, "vendor=1")))
    lease.give_back()
    assert outcome.relationship == SUCCESS
    _, headers, _ = grpc_echo.seen.calls[0]
    assert [headers[name] for name in ("seldon", "traceparent", "tracestate")] == ["iris", trace, "vendor=1"]
    assert trace_headers(None, "vendor=1") == trace_headers("", None) == {}
