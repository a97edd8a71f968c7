"""Runs a command for as long as standard input stays open: ``python tether.py COMMAND…``.

Whoever started it holds the other end of that pipe, and the kernel closes it when they end, however they end. Then,
and when the command ends by itself, the whole process group goes: a server may have left workers behind.

Where the environment names a file in ``TETHER_BEGAN``, it is told there when the command began, by the monotonic
clock: this program itself takes a while to start.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from threading import Thread


def main(command: list[str]) -> None:
    if told := os.environ.pop("TETHER_BEGAN", ""):
        with open(told, "w") as file:  # noqa: PTH123  (pathlib takes as long to import as all else here)
            file.write(str(time.monotonic()))
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    Thread(target=_end_with_owner, daemon=True).start()
    child.wait()
    _end()


def _end_with_owner() -> None:
    os.read(0, 1)
    _end()


def _end() -> None:
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
