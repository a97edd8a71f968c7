"""The log of a NiFi: what went wrong in it, and its lines as they come."""

from __future__ import annotations

import os
import re
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

# An error of the log, the exception under it and those that it came from, and what the JVM itself says.
_WRONG = re.compile(r" ERROR |^Caused by: |^Error: |^Exception in |^[\w.$]+(?:Exception|Error)(?:: |$)")
_SHOWN = 12
_POLL = 0.3  # seconds between two looks at the end of the log
_LONGEST = 400  # characters of a line: Spring repeats the whole chain of causes in each


def end_of(folder: Path, *, since: int) -> str:
    """The last errors of a start, or its last lines where there is none.

    Args:
        folder: of the NiFi.
        since: bytes of the log to skip; a log that has become shorter was rolled over since.
    """
    console = _lines(folder / "console.log", 0)
    lines = [*_lines(folder / "logs" / "nifi-app.log", since), *console]
    wrong = [line for line in lines if _WRONG.search(line)]
    shown = list(dict.fromkeys(wrong or lines))[-_SHOWN:]
    return "\n".join(line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…" for line in shown) or "(nothing)"


def size_of(log: Path) -> int:
    """Bytes in the log; 0 where there is none."""
    return log.stat().st_size if log.exists() else 0


def last_lines(log: Path, count: int) -> Iterator[str]:
    """The last lines of a log, oldest first."""
    with log.open(encoding="utf-8", errors="replace") as file:
        yield from (line.rstrip("\n") for line in deque(file, maxlen=count))


def followed(log: Path, count: int) -> Iterator[str]:
    """The last lines of a log, and those that are written from now on, also after it was rolled over; without end."""
    file = log.open(encoding="utf-8", errors="replace")
    try:
        yield from (line.rstrip("\n") for line in deque(file, maxlen=count))
        while True:
            yield from _new_lines(file)
            time.sleep(_POLL)
            if _is_another(log, file):
                yield from _new_lines(file)
                file.close()
                file = log.open(encoding="utf-8", errors="replace")
    finally:
        file.close()


def _new_lines(file: TextIO) -> Iterator[str]:
    while True:
        at = file.tell()
        line = file.readline()
        if not line.endswith("\n"):
            file.seek(at)  # nothing, or a line that is only half written
            return
        yield line.rstrip("\n")


def _is_another(log: Path, file: TextIO) -> bool:
    with suppress(FileNotFoundError):  # just being rolled over
        return log.stat().st_ino != os.fstat(file.fileno()).st_ino
    return False


def _lines(path: Path, since: int) -> list[str]:
    if not path.exists():
        return []
    content = path.read_bytes()
    return content[since if since <= len(content) else 0 :].decode(errors="replace").splitlines()
