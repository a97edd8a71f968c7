"""Processes that go on after the command that started them: started detached, recognised later, stopped for sure."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Both settle where the command runs without a Popen object, which would have to be kept and waited for.
_IN_FOLDER = ("/bin/sh", "-c", 'cd "$0" && exec "$@"')
_CLOCK_STEP = 5.0  # seconds that the clock may be corrected by; psutil derives start times from the time of boot


def start(command: Sequence[str], *, folder: Path, output: Path, environment: Mapping[str, str]) -> psutil.Process:
    """Start ``command`` in ``folder``, in a session of its own: no Ctrl-C and no hang-up of our terminal reaches it.

    Standard output and error go to the file ``output``, which starts empty.
    """
    mode = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(output), mode, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    arguments = [*_IN_FOLDER, str(folder), *command]
    pid = os.posix_spawn(arguments[0], arguments, environment, file_actions=files, setsid=True)
    return psutil.Process(pid)


def find(pid: int, created: float, mark: str) -> psutil.Process | None:
    """The process with this number, when it is alive and still the one we started.

    Args:
        pid: its number, which the system may have given to another one since.
        created: its start, in seconds since 1970.
        mark: an argument of its command line that no other process has.
    """
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        ours = abs(process.create_time() - created) < _CLOCK_STEP and mark in process.cmdline()
        return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
    return None


def ended(process: psutil.Process) -> bool:
    """Whether the process is gone, or only waits for its parent to notice."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def stop(process: psutil.Process, *, grace: float) -> None:
    """Ask it to end (SIGTERM), and after ``grace`` seconds make it end (SIGKILL); return when it is gone."""
    with suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(grace)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(grace)
