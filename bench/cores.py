"""Which core the server has to itself, and which one the load; the same two for every server."""

from __future__ import annotations

import os
import shutil


def prefixes() -> tuple[list[str], list[str]]:
    """What to put before the server's command and before the load's; empty where cores cannot be chosen."""
    taskset = shutil.which("taskset")
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if taskset is None or len(cores) < 2:
        return [], []
    return [taskset, "-c", str(cores[0])], [taskset, "-c", str(cores[1])]
