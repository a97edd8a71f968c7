"""What a broker's folder remembers of the process that serves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.deploy.processes import find

if TYPE_CHECKING:
    from pathlib import Path

    import psutil

NAME = "broker.json"


@dataclass(frozen=True, slots=True)
class Record:
    """One start of a broker.

    Attributes:
        pid: number of the process.
        created: when it started, in seconds since 1970; a number alone may be another process by now.
        port: where clients connect.
        cluster: id of the cluster in the folder, as the broker itself tells it.
        version: of Kafka.
    """

    pid: int
    created: float
    port: int
    cluster: str
    version: str

    def process(self, folder: Path) -> psutil.Process | None:
        """The process, when it is alive and really ours."""
        return find(self.pid, self.created, mark(folder))


def mark(folder: Path) -> str:
    """The argument on the command line by which the broker of a folder is known again."""
    return f"-Dpenstock.broker={folder}"
