"""The log of a NiFi: what went wrong in it, and its lines as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SHOWN = 12
_LONGEST = 400  # characters of a line: Spring repeats the whole chain of causes in each


def end_of(folder: Path, *, since: int) -> str:
    """The last errors of a start, or its last lines where there is none.

    Args:
        folder: of the NiFi.
        since: bytes of the log to skip; a log that has become shorter was rolled over since.
    """
    console = _lines(folder / "console.log", 0)
    lines = [*_lines(folder / "logs" / "nifi-app.log", since), *console]
    wrong = [line for line in lines if " ERROR " in line or line.startswith(("Caused by:", "Error:", "Exception in"))]
    shown = list(dict.fromkeys(wrong or lines))[-_SHOWN:]
    return "\n".join(line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…" for line in shown) or "(nothing)"


def size_of(log: Path) -> int:
    """Bytes in the log; 0 where there is none."""
    return log.stat().st_size if log.exists() else 0


def _lines(path: Path, since: int) -> list[str]:
    if not path.exists():
        return []
    content = path.read_bytes()
    return content[since if since <= len(content) else 0 :].decode(errors="replace").splitlines()
