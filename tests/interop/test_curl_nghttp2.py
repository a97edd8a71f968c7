"""curl and nghttp2's tools: REST over HTTP/1.1 and HTTP/2, and a load of gRPC on one connection."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from penstock.proto import prediction_pb2 as pb

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Called

PREDICT = "/seldon.protos.Seldon/Predict"


def run(name: str, *arguments: str) -> str:
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def curl(called: Called, *arguments: str) -> str:
    trust = ["--cacert", str(called.ca)] if called.ca else []
    return run("curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "30", *trust, *arguments)


def version(called: Called, number: str) -> str:
    """Over TLS ALPN chooses; in plain text curl has to know."""
    if number == "1.1":
        return "--http1.1"
    return "--http2" if called.ca else "--http2-prior-knowledge"


@pytest.mark.parametrize("number", ["1.1", "2"])
@pytest.mark.parametrize("port", ["http", "grpc"])
def test_rest_on_each_port_in_each_version(called: Called, number: str, port: str) -> None:
    scheme = "https" if called.ca else "http"
    address = called.http if port == "http" else f"{scheme}://{called.grpc}"
    answer = curl(
        called,
        version(called, number),
        *("--header", "Content-Type: application/json"),
        *("--data", '{"strData": "a"}'),
        *("--write-out", " %{http_version} %{http_code}"),
        f"{address}/api/v1.0/predictions",
    )
    assert '"strData":"a"' in answer.replace(" ", "")
    assert answer.endswith(f" {number} 200")


@pytest.mark.parametrize("number", ["1.1", "2"])
def test_a_large_body_both_ways(called: Called, number: str, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_text('{"strData": "%s"}' % ("0123456789" * 500_000))
    answer = curl(
        called,
        version(called, number),
        *("--header", "Content-Type: application/json"),
        *("--data", f"@{body}"),
        f"{called.http}/api/v1.0/predictions",
    )
    assert "0123456789" * 500_000 in answer


@pytest.mark.parametrize("number", ["1.1", "2"])
def test_several_requests_on_one_connection(called: Called, number: str) -> None:
    if number == "2" and called.ca is None:
        pytest.skip("curl 7.88 fails with a second request on a connection of prior knowledge, whatever the server")
    address = f"{called.http}/health/ping"
    connects = ("--write-out", "%{num_connects}")
    assert curl(called, version(called, number), *connects, address, address, address) == "pong1pong0pong0"


@pytest.mark.parametrize("streams", [1, 100, 1000])
def test_a_load_of_grpc_on_one_connection(called: Called, streams: int, tmp_path: Path) -> None:
    message = pb.SeldonMessage(strData="a").SerializeToString()
    body = tmp_path / "body"
    body.write_bytes(struct.pack(">BL", 0, len(message)) + message)
    scheme = "https" if called.ca else "http"
    headers = ("--header", "content-type: application/grpc", "--header", "te: trailers")
    told = run(
        "h2load",
        *("--requests", "2000", "--clients", "1", "--max-concurrent-streams", str(streams)),
        *(*headers, "--data", str(body), f"{scheme}://{called.grpc}{PREDICT}"),
    )
    assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in told
    assert re.search(r"2000 2xx", told)


def test_nghttp_sees_trailers(called: Called, tmp_path: Path) -> None:
    if called.ca:
        pytest.skip("nghttp cannot be told whom to trust; h2load does not ask")
    body = tmp_path / "body"
    body.write_bytes(struct.pack(">BL", 0, 0))
    headers = ("--header", "content-type: application/grpc", "--header", "te: trailers")
    told = run("nghttp", "--verbose", "--no-dep", *headers, "--data", str(body), f"http://{called.grpc}{PREDICT}")
    assert "grpc-status: 3" in told
    assert "EMPTY_MESSAGE" in told
