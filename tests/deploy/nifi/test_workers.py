"""Ending orphaned workers, and nobody else."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from penstock.deploy.nifi._workers import memory_of, reap, workers_of
from penstock.deploy.processes import ended

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# As a worker that installs something with pip: the child must go too.
PROGRAM = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
print(child.pid, flush=True)
time.sleep(100)
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + PROGRAM


@pytest.fixture
def spawned() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes to be ended however the test ends."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def worker(home: Path, program: str = PROGRAM) -> tuple[subprocess.Popen[str], psutil.Process]:
    """A process with the command line of a worker, and the child that it has."""
    path = home / "python" / "framework" / "Controller.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(program)
    # NiFi does not tidy the path.
    command = [sys.executable, "-S", f"{home}/./python/framework/Controller.py"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, psutil.Process(int(process.stdout.readline()))


def test_workers_of_a_home_end_with_what_they_started(tmp_path: Path, spawned: list[subprocess.Popen[str]]) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "home")
    started = [worker(tmp_path / "home"), worker(tmp_path / "home", STUBBORN), worker(tmp_path / "home 2")]
    spawned += [process for process, _ in started]
    assert {process.pid for process in workers_of(tmp_path / "link")} == {process.pid for process, _ in started[:2]}
    assert memory_of(psutil.Process(started[0][0].pid)) > started[0][1].memory_info().rss
    reap(tmp_path / "link")
    assert [process.poll() is None for process, _ in started] == [False, False, True]
    assert [ended(child) for _, child in started] == [True, True, False]
    reap(tmp_path / "link")
    assert workers_of(tmp_path / "home") == []
    started[2][1].kill()
