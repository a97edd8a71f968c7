"""``penstock demo --nifi`` as a stranger runs it: from nothing to predictions on a canvas, and back to nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.nifi, pytest.mark.xdist_group("nifi"), pytest.mark.timeout(600)]

DEMO = [sys.executable, "-m", "penstock.cli", "demo"]


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {"XDG_DATA_HOME": str(folder), "COLUMNS": "120", "PYTHONUNBUFFERED": "1"}


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*DEMO, *arguments], capture_output=True, text=True, env=environment(folder), timeout=500)


def processes_of(folder: Path) -> list[str]:
    """Command lines of what runs from this folder, NiFi's Python workers too."""
    lines = (" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))
    return [line for line in lines if str(folder) in line]


def test_it_shows_predictions_from_provenance_and_stays_when_told(tmp_path: Path) -> None:
    result = demo(tmp_path, "--nifi", "--images", "20", "--keep")
    try:
        assert result.returncode == 0, result.stdout + result.stderr
        for step in ("NiFi", "model", "service", "SFTP server", "flow", "predictions"):
            assert f"✓ {step}" in result.stdout
        right = re.search(r"(\d+) of 20 right", result.stdout)
        assert right is not None
        assert int(right[1]) >= 18
        assert "from GenerateFlowFile" in result.stdout
        assert re.search(r"digit-\d{3}\.png +\d +digit-\d +[a-z]+ +[\d.]+% +[0-9a-f]{20,}", result.stdout)
        rows = json.loads(next(line for line in result.stdout.splitlines() if line.startswith("[[")))
        assert [len(row) for row in rows] == [3, 3, 3]
        canvas = re.search(r"canvas +(http://127\.0\.0\.1:\d+)/nifi/#/process-groups/(\S+)", result.stdout)
        assert canvas is not None
        with urllib.request.urlopen(f"{canvas[1]}/nifi-api/process-groups/{canvas[2]}", timeout=30) as reply:
            group = json.load(reply)
        assert group["component"]["name"] == "Image recognition"
        assert group["invalidCount"] == 0
        again = demo(tmp_path, "--nifi")
        assert again.returncode == 1
        assert "penstock demo --stop" in again.stderr
    finally:
        stopped = demo(tmp_path, "--stop")
    assert stopped.returncode == 0
    assert stopped.stdout.endswith("stopped\n")
    assert not processes_of(tmp_path)
    assert demo(tmp_path, "--stop").stdout == "nothing was running\n"


def test_interrupted_while_nifi_starts_it_leaves_nothing(tmp_path: Path) -> None:
    command = [*DEMO, "--nifi"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(tmp_path)
    ) as process:
        end = time.monotonic() + 200
        while not any("org.apache.nifi" in line for line in processes_of(tmp_path)):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert not processes_of(tmp_path)
    assert not (tmp_path / "penstock" / "demo-nifi").exists()


def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = demo(tmp_path, "--nifi", "--nifi-port", port)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: port {port} for NiFi is taken")
    assert not processes_of(tmp_path)
