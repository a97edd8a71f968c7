"""What a broker's folder remembers of the process that serves it, from one command to the next."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from penstock.deploy.processes import find

if TYPE_CHECKING:
    from pathlib import Path

    import psutil

_NAME = "broker.json"


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


def read_record(folder: Path) -> Record | None:
    """The last start, or None: never started, stopped properly, or the file is not readable."""
    with suppress(OSError, ValueError, TypeError):
        return Record(**json.loads((folder / _NAME).read_text()))
    return None


def write_record(folder: Path, record: Record) -> None:
    """Remember a start, in one step: a reader finds the old record or the new one."""
    part = folder / f"{_NAME}.part"
    part.write_text(json.dumps(asdict(record)))
    part.replace(folder / _NAME)


def forget_record(folder: Path) -> None:
    """The broker was stopped on purpose."""
    (folder / _NAME).unlink(missing_ok=True)
