"""What a tree of processes uses, as far as the kernel tells."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from bench import trees

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

# A parent that holds two more, as the tether holds a server and its worker; the last one has 50 MB of its own.
_WORKER = "held = bytearray(b'x' * 50_000_000); print('up', flush=True); input()"
_SERVER = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_WORKER!r}])"
_TETHER = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_SERVER!r}])"


@pytest.fixture
def group() -> Iterator[int]:
    command = [sys.executable, "-c", _TETHER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield process.pid
        process.stdin.close()


def test_memory_is_that_of_all_processes_and_libraries_count_in_full(group: int) -> None:
    found = trees.memory_mb(group)
    parts = psutil.Process(group).children(recursive=True)
    assert len(parts) == 2
    # At least what the kernel divides among all on this machine, at most what it counts once for each process.
    least = sum(part.memory_full_info().pss for part in parts) / 2**20
    most = sum(part.memory_info().rss for part in parts) / 2**20
    assert least * 0.98 <= found <= most * 1.02
    assert found > 50


def test_cpu_seconds_grow_with_work_only() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_BUSY!r}])"]
    ) as process:
        while trees.cpu_seconds(process.pid) < 0.2:
            time.sleep(0.05)
        assert trees.alive(process.pid)
        trees.end(trees.processes(process.pid))
    assert trees.cpu_seconds(process.pid) == 0
    assert not trees.alive(process.pid)


_BUSY = "while True: pass"


def test_a_server_can_be_given_one_core_later(group: int) -> None:
    core = min(os.sched_getaffinity(0))
    trees.pin(group, core)
    assert [part.cpu_affinity() for part in trees.processes(group)] == [[core], [core]]
