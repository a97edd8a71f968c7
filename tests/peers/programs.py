"""Servers as processes of this run: started in a group of their own, waited for, ended as a whole."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_TETHER = Path(__file__).with_name("tether.py")
_START_SECONDS = 90.0


class DidNotStart(Exception):  # noqa: N818  (the sentence that is read)
    """A server ended, or gave no sign of life; the end of its log is in the message."""


@contextmanager
def program(
    command: Sequence[str],
    *,
    log: Path,
    ready: Callable[[], bool],
    folder: Path,
    variables: Mapping[str, str],
    seconds: float = _START_SECONDS,
) -> Iterator[int]:
    """Run ``command`` in ``folder`` with these environment variables; in the block it is ready, within ``seconds``.

    Gives the number of the process group. Nothing of the group is alive after the block, or after this process.

    Raises:
        DidNotStart: it ended, or was not ready in time.
    """
    tethered = [sys.executable, "-I", "-S", str(_TETHER), *command]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            tethered,
            cwd=folder,
            env=dict(variables),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            _wait(process, ready, log, seconds)
            yield process.pid
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)


def _wait(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            why = "ended" if process.returncode is not None else f"was not ready within {seconds:.0f} s"
            raise DidNotStart(f"{process.args!r} {why}:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.05)
