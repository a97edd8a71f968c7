"""The main job as a stranger runs it: one command, from nothing to predictions and back to nothing."""

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from penstock.deploy.ports import free_port

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("demo")]

DEMO = [sys.executable, "-m", "penstock.cli", "demo"]


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"XDG_DATA_HOME": str(folder), "COLUMNS": "120"}
    return subprocess.run([*DEMO, *arguments], capture_output=True, text=True, env=environment, timeout=240)


def processes_of(folder: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(folder) in " ".join(process.info["cmdline"] or [])
    ]


def test_it_predicts_sums_up_and_leaves_nothing_behind(tmp_path: Path) -> None:
    result = demo(tmp_path, "--images", "900")
    assert result.returncode == 0, result.stdout + result.stderr
    for step in ("Kafka", "model", "service", "stream"):
        assert f"✓ {step}" in result.stdout
    assert "900 of 900 images" in result.stdout
    accuracy = re.search(r"accuracy\s+([\d.]+)%", result.stdout[result.stdout.index("900 of 900 images") :])
    assert accuracy is not None
    assert float(accuracy[1]) > 95
    assert not processes_of(tmp_path)


def test_kept_it_answers_until_it_is_stopped(tmp_path: Path) -> None:
    result = demo(tmp_path, "--images", "200", "--keep")
    try:
        assert result.returncode == 0, result.stdout + result.stderr
        page = re.search(r"REST\s+(http://\S+?)/api", result.stdout[result.stdout.index("left running") :])
        assert page is not None
        body = json.dumps({"data": {"ndarray": [[0] * 64]}}).encode()
        request = urllib.request.Request(page[1] + "/predict", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as reply:
            assert json.load(reply)["data"]["names"][0] == "digit"
        again = demo(tmp_path)
        assert again.returncode == 1
        assert "penstock demo --stop" in again.stderr
    finally:
        stopped = demo(tmp_path, "--stop")
    assert (stopped.returncode, stopped.stdout) == (0, "stopped\n")
    assert not processes_of(tmp_path)
    assert demo(tmp_path, "--stop").stdout == "nothing was running\n"


def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = demo(tmp_path, "--kafka-port", port)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: port {port} for Kafka is taken")
    assert not processes_of(tmp_path)


def test_no_network_is_one_clear_line(tmp_path: Path) -> None:
    """An empty cache and a proxy that refuses everything."""
    proxy = f"http://127.0.0.1:{free_port()}"
    environment = os.environ | {
        "XDG_DATA_HOME": str(tmp_path),
        "PENSTOCK_CACHE": str(tmp_path / "cache"),
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), proxy),
    }
    result = subprocess.run(DEMO, capture_output=True, text=True, env=environment, timeout=240)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("error: ")
    assert "network" in result.stderr
