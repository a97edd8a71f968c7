"""Says in one line that a bundle was made for another Python, before numpy says it in forty.

`penstock.deploy.nar` writes ``built-for.json`` beside this file; without it, as in a development install, everything
fits. Read by any Python, also one that is too old for the rest: nothing newer than 3.8 is run here.
"""

from __future__ import annotations

import json
import sys
import sysconfig
from pathlib import Path

_NOTE = Path(__file__).with_name("built-for.json")


def check(note: Path = _NOTE) -> None:
    """Compare this Python with the one that the bundle was made by.

    Raises:
        ImportError: they differ; the message is then in NiFi's log.
    """
    wrong = mismatch(json.loads(note.read_text(encoding="utf-8"))) if note.exists() else None
    if wrong:
        raise ImportError(wrong)


def mismatch(built: dict[str, str]) -> str | None:
    """What to say where ``built`` is not for this Python; None where it is."""
    here = {
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "implementation": sys.implementation.name,
        "platform": sysconfig.get_platform(),
    }
    if all(built[name] == value for name, value in here.items()):
        return None
    return (
        f"{built['bundle']} was made for {_named(built)}, but NiFi runs {_named(here)} ({sys.executable}): "
        f"let nifi.python.command name a Python {built['python']}, or make the NAR with the Python that NiFi runs"
    )


def _named(python: dict[str, str]) -> str:
    name = "Python" if python["implementation"] == "cpython" else python["implementation"]
    return f"{name} {python['python']} on {python['platform']}"
