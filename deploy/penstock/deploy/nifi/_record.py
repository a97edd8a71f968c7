"""What a NiFi's folder remembers of the process that serves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.deploy.processes import find

if TYPE_CHECKING:
    from pathlib import Path

    import psutil

NAME = "nifi.json"


@dataclass(frozen=True, slots=True)
class Record:
    """One start of a NiFi.

    Attributes:
        pid: number of the process.
        created: when it started, in seconds since 1970; a number alone may be another process by now.
        port: of the canvas and the REST API.
        version: of NiFi.
        logged: bytes that were in the log before this start.
    """

    pid: int
    created: float
    port: int
    version: str
    logged: int

    def process(self, folder: Path) -> psutil.Process | None:
        """The process, when it is alive and really ours."""
        return find(self.pid, self.created, mark(folder))


def mark(folder: Path) -> str:
    """The argument on the command line by which the NiFi of a folder is known again."""
    return f"-Dpenstock.nifi={folder}"
