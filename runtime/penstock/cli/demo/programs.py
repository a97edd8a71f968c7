"""The other programs of a demo, such as `penstock serve` and `penstock stream run`, started as a user would."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.deploy import processes
from penstock.deploy.ports import free_port, is_free
from penstock.proto import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import psutil

# The service loads a model, the stream joins its group: seconds on a busy laptop, far less on an idle one.
_PATIENCE = 90.0
_GRACE = 15.0
_TAIL = 8


@dataclass(frozen=True, slots=True)
class Program:
    """A running program with its log.

    Attributes:
        name: for people.
        mark: an argument of its command line that no other process has.
    """

    name: str
    mark: str
    process: psutil.Process
    log: Path

    def wait_for(self, ready: Callable[[], bool]) -> None:
        """Wait until ``ready`` says so.

        Raises:
            SetupError: the program ended, or took too long; with the last lines of its log.
        """
        end = time.monotonic() + _PATIENCE
        while not ready():
            if processes.ended(self.process):
                raise SetupError(f"the {self.name} ended at once:\n{self.tail()}")
            if time.monotonic() > end:
                raise SetupError(f"the {self.name} was not ready within {_PATIENCE:.0f} seconds:\n{self.tail()}")
            time.sleep(0.05)

    def tail(self) -> str:
        """The last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL:]) or "(its log is empty)"

    def stop(self) -> None:
        """Ask it to end, and end it where it does not."""
        processes.stop(self.process, grace=_GRACE)


def start(
    name: str, mark: Path, arguments: list[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Program:
    """Start ``python -m ARGUMENTS``.

    Args:
        name: for people.
        mark: the file or folder among the arguments that is ours.
        arguments: the module and what follows.
        folder: where it runs, and its log.
        environment: added to ours; secrets belong there, not among the arguments.
    """
    log = folder / f"{name}.log"
    command = [sys.executable, "-m", *arguments]
    added = {"PYTHONUNBUFFERED": "1"} | dict(environment or {})
    process = processes.start(command, folder=folder, output=log, environment=os.environ | added)
    return Program(name, str(mark), process, log)


def choose_port(wanted: int | None, usual: int, what: str) -> int:
    """The port asked for; else the usual one, else any free one.

    Raises:
        SetupError: the port asked for is taken.
    """
    if wanted is not None and not is_free(wanted):
        raise SetupError(f"port {wanted} for {what} is taken; choose another, or leave the option out")
    if wanted is not None:
        return wanted
    return usual if is_free(usual) else free_port()
