"""Servers of a test run end with it, workers that they have forked included, also when the run is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.peers.programs import DidNotStart, program

# A server that ignores SIGTERM and has a worker that does, too; both numbers are in the log.
_STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
print(os.getpid(), flush=True)
time.sleep(600)
"""
_OWNER = """
import sys, time
from pathlib import Path
from tests.peers.programs import program
log = Path(sys.argv[1])
ready = lambda: len(log.read_text().split()) == 2
with program(sys.argv[2:], log=log, ready=ready, folder=log.parent, variables={}):
    print("ready", flush=True)
    time.sleep(600)
"""


def _ready(log: Path) -> bool:
    return len(log.read_text().split()) == 2


def _assert_gone(log: Path) -> None:
    end = time.monotonic() + 30
    while alive := [number for number in map(int, log.read_text().split()) if psutil.pid_exists(number)]:
        assert time.monotonic() < end, f"still there: {alive}"
        time.sleep(0.05)


def test_the_whole_group_ends_with_the_block(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with program(
        [sys.executable, "-c", _STUBBORN], log=log, ready=lambda: _ready(log), folder=tmp_path, variables={}
    ) as group:
        assert {os.getpgid(number) for number in map(int, log.read_text().split())} == {group}
    _assert_gone(log)


def test_the_whole_group_ends_with_a_killed_owner(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", _OWNER, str(log), sys.executable, "-c", _STUBBORN]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        owner.send_signal(signal.SIGKILL)
    _assert_gone(log)


def test_one_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no licence')"]
    with (
        pytest.raises(DidNotStart, match="no licence"),
        program(command, log=tmp_path / "log", ready=lambda: False, folder=tmp_path, variables={}),
    ):
        pass
