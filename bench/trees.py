"""What a server's processes use: seconds of CPU, and memory."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ ([0-9a-f]+) \S+ (\d+)\s*(.*)")
_FIELDS = ("Rss:", "Pss:", "Anonymous:")


def alive(group: int) -> bool:
    """Whether anything of the server but the process that holds it runs."""
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(group).children())
    return False


def cpu_seconds(group: int) -> float:
    """User and system, of all processes of the server since each began."""
    used = 0.0
    for process in processes(group):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used += times.user + times.system
    return used


def memory_mb(group: int) -> float:
    """The proportional set size (PSS) of all processes of the server in MB, as if nothing else ran on the machine.

    The kernel's own PSS divides a page of a library among all who have it open. Two of our servers and the benchmark
    itself come from one environment, so each would seem smaller than it is; a page of a file counts here in full, once
    for the server, and a page of memory as the kernel counts it, since only the server's own processes share that.
    """
    memory = 0
    files: dict[tuple[str, str], int] = defaultdict(int)
    for process in processes(group):
        with suppress(OSError):
            for file, rss, pss, anonymous in _mappings(process.pid):
                if file is None:
                    memory += pss
                else:
                    memory += anonymous
                    files[file] = max(files[file], rss - anonymous)
    return (memory + sum(files.values())) / 1024


def _mappings(process: int) -> Iterator[tuple[tuple[str, str] | None, int, int, int]]:
    """Of each mapping: file and offset, and in KiB what is resident, its share, and what is not the file's."""
    file: tuple[str, str] | None = None
    sizes: dict[str, int] = {}
    for line in Path(f"/proc/{process}/smaps").read_text().splitlines():
        if found := _MAPPING.match(line):
            file = (found[2], found[1]) if found[2] != "0" else None
        else:
            name, value, *_ = line.split()
            if name in _FIELDS:
                sizes[name] = int(value)
            elif name == "VmFlags:":
                yield file, sizes["Rss:"], sizes["Pss:"], sizes["Anonymous:"]


def end(some: Iterable[psutil.Process]) -> None:
    """What still runs of these, and is still what it was."""
    for process in some:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def pin(group: int, core: int) -> None:
    """All threads of the server to one core, and with them whatever they start."""
    for process in processes(group):
        for thread in Path(f"/proc/{process.pid}/task").glob("*"):
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), {core})


def processes(group: int) -> list[psutil.Process]:
    """Those of a server; all but the first, which only holds the others."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(group).children(recursive=True)
    return []
