"""NiFi's Python workers: processes that its JVM starts, and that live on when it is killed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

_GRACE = 5.0
_CONTROLLER = "Controller.py"


def workers_of(folder: Path) -> list[psutil.Process]:
    """The Python workers of the NiFi in this folder, by the program they run: it is a copy that this home has."""
    program = folder.resolve() / "python" / "framework" / _CONTROLLER
    return [process for process in psutil.process_iter() if _runs(process, program)]


def reap(folder: Path) -> None:
    """End the workers of a NiFi that is no more, and what they have started, such as pip; return when they are gone."""
    found = workers_of(folder)
    for worker in tuple(found):
        with suppress(psutil.NoSuchProcess):
            found += worker.children(recursive=True)
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(found, timeout=_GRACE)[1]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(found, timeout=_GRACE)


def _runs(process: psutil.Process, program: Path) -> bool:
    # NiFi writes the path as HOME/./python/framework/Controller.py; pathlib takes the dot out.
    with suppress(psutil.Error):
        return any(part.endswith(_CONTROLLER) and Path(part) == program for part in process.cmdline())
    return False


def memory_of(process: psutil.Process) -> int:
    """Bytes of memory that a process and those it has started take."""
    total = 0
    with suppress(psutil.Error):
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                total += each.memory_info().rss
    return total
