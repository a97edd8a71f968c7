"""Runs a command for as long as standard input stays open: ``python tether.py COMMAND…``.

Whoever started it holds the other end of that pipe, and the kernel closes it when they end, however they end. Then,
and when the command ends by itself, the whole process group goes: a server may have left workers behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from threading import Thread


def main(command: list[str]) -> None:
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
