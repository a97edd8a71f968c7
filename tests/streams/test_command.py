"""``penstock stream`` as it is typed, and the metrics it shows."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from penstock.proto import SetupError
from penstock.streams.metrics import Metrics

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "stream.toml"


def stream(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "penstock.cli", "stream", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_check_shows_the_defaults() -> None:
    result = stream("check", str(EXAMPLE))
    assert result.returncode == 0, result.stderr
    assert 'topic = "iris-dead-letters"' in result.stdout
    assert 'group = "penstock-iris"' in result.stdout
    plain = json.loads(stream("check", str(EXAMPLE), "--output", "json").stdout)
    assert plain["dead_letter"] == {"topic": "iris-dead-letters"}
    assert plain["source"]["features"][0] == "/sepal_length"


def test_what_is_wrong_is_one_line(tmp_path: Path) -> None:
    spec = tmp_path / "stream.toml"
    spec.write_text(EXAMPLE.read_text().replace('format = "ndarray"', 'format = "json"', 1))
    for word in ("check", "run"):
        result = stream(word, str(spec))
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith(f"error: {spec}: source.format is 'json'; allowed are binData, strData")
        assert result.stderr.count("\n") == 1


def test_metrics_are_shown_on_a_port() -> None:
    metrics = Metrics("iris")
    metrics.records.inc(3)
    metrics.dead("INVALID_JSON")
    port = metrics.serve(0)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        text = reply.read().decode()
    assert 'penstock_stream_records_total{stream="iris"} 3.0' in text
    assert 'penstock_stream_dead_letters_total{reason="INVALID_JSON",stream="iris"} 1.0' in text
    assert metrics.totals() == {"records": 3, "results": 0, "dead_letters": 1, "acknowledged": 0, "calls": 0}


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=f"metrics port {port}"):
            Metrics("iris").serve(port)
