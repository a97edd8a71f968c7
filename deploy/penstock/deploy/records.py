"""What a folder remembers of the process that serves from it, from one command to the next."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

Record = TypeVar("Record")


def read_record(path: Path, kind: type[Record]) -> Record | None:
    """The last start, or None: never started, stopped properly, or the file is not readable."""
    with suppress(OSError, ValueError, TypeError):
        return kind(**json.loads(path.read_text()))
    return None


def write_record(path: Path, record: Any) -> None:
    """Remember a start (a dataclass), in one step: a reader finds the old record or the new one."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(asdict(record)))
    part.replace(path)


def forget_record(path: Path) -> None:
    """What the record tells of was stopped on purpose."""
    path.unlink(missing_ok=True)
