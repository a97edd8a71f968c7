"""Runs a command for as long as somebody holds a lock: ``python tether.py LOCK FOLDER COMMAND…``.

A process started for a test must not outlive the test run, not even one that is killed. So nobody has to say that
it is over: those who use the process hold LOCK together (`penstock.deploy.locks.together`), the kernel takes it from
them when they end, and this program waits until it gets the lock alone. It then stops the command, removes FOLDER,
and gives the lock back by ending; who wants to join meanwhile is refused, and starts a new one.

Not PR_SET_PDEATHSIG in the test process: that signal comes when the *thread* that started the child ends, it knows
one parent only where several test workers share a broker, and only Linux has it. It is right for the one case left,
that this program itself is killed: it is one parent with, at that moment, one thread.

Only the standard library: it is started with ``-I -S`` to be quick.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import TextIOWrapper

GRACE = 15.0  # seconds between SIGTERM and SIGKILL
_PR_SET_PDEATHSIG = 1


def main(lock: str, folder: str, *command: str) -> int:
    """Run ``command`` until it ends, SIGTERM comes, or nobody else holds ``lock``; answer its exit status."""
    parent = os.getpid()
    unused = Event()
    with Path(lock).open("a") as file:
        child = subprocess.Popen(command, preexec_fn=lambda: _die_with(parent))  # noqa: PLW1509, S603  (no threads yet)
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        Thread(target=_stop_when_unused, args=(file, child, unused), daemon=True).start()
        status = child.wait()
        _end_what_it_left()
        if unused.is_set():  # otherwise it broke, and its log in the folder tells why
            shutil.rmtree(folder, ignore_errors=True)
        return status


def _stop_when_unused(file: TextIOWrapper, child: subprocess.Popen[bytes], unused: Event) -> None:
    fcntl.flock(file, fcntl.LOCK_EX)
    unused.set()
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(GRACE)
    child.kill()


def _end_what_it_left() -> None:
    # A JVM that was killed leaves NiFi's Python workers behind. They share the process group that
    # `penstock.deploy.processes.start` has made for this program; run by hand it may be in somebody else's.
    if os.getpgrp() == os.getpid():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the line above
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
