"""Memory of large messages: taken from the system once, not with each."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# A message and its copies, thirty times.
_BLOCK, _COPIES, _TIMES, _PAGE = 8 << 20, 4, 30, 4096
_PROGRAM = f"""
import resource
from penstock.serving.memory import keep_freed_memory
kept = keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
for _ in range({_TIMES}):
    blocks = [b"x" * {_BLOCK} for _ in range({_COPIES})]
    del blocks
print(int(kept), faults() - before)
"""


def _run(**variables: str) -> tuple[bool, int]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    output = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=clean | variables, check=True, capture_output=True, text=True
    ).stdout
    kept, faults = output.split()
    return kept == "1", int(faults)


@pytest.mark.skipif(sys.platform != "linux", reason="page faults are counted as Linux counts them")
def test_large_blocks_are_not_asked_for_again_and_again() -> None:
    kept, faults = _run()
    if not kept:
        pytest.skip("this C library has no mallopt")
    assert faults < 3 * _COPIES * _BLOCK // _PAGE  # as for three messages, not for thirty


@pytest.mark.skipif(sys.platform == "win32", reason="no resource module")
def test_what_was_chosen_outside_is_left_alone() -> None:
    kept, _ = _run(MALLOC_TRIM_THRESHOLD_="131072")
    assert not kept
