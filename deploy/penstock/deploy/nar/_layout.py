"""The bundle as a folder, for ``nifi.python.extensions.source.directory``."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from penstock.deploy.locks import alone
from penstock.deploy.nar._contents import contents

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.deploy.nar._contents import Entry

_MARKER: Final = ".penstock-bundle"


def lay_out(folder: Path) -> Path:
    """Make ``folder`` hold the bundle of what is installed now, and nothing else; returns it.

    1. What is installed is compared with what the folder's marker says; the same: done.
    2. The files are put together beside the folder.
    3. The old folder is moved aside, the new one to its place, and the old one deleted.

    Cut off in 2, the folder is as it was; between the two moves it is missing, and the next call makes it.

    Args:
        folder: made with its parents; replaced as a whole.

    Raises:
        SetupError: something that belongs into the bundle is not installed here.
    """
    folder = folder.absolute()
    entries = contents()
    digest = _digest(entries)
    with alone(folder.with_name(f".{folder.name}.lock")):
        if _marked(folder) == digest:
            return folder
        part, old = (folder.with_name(f".{folder.name}.{what}") for what in ("part", "old"))
        for left in (part, old):
            shutil.rmtree(left, ignore_errors=True)
        for entry in entries:
            _put(entry, part / entry.target)
        (part / _MARKER).write_text(digest, encoding="utf-8")
        with suppress(FileNotFoundError):
            folder.replace(old)
        part.replace(folder)
        shutil.rmtree(old, ignore_errors=True)
    return folder


def _digest(entries: Sequence[Entry]) -> str:
    return hashlib.sha256("".join(f"{entry.target} {entry.digest}\n" for entry in entries).encode()).hexdigest()


def _marked(folder: Path) -> str:
    try:
        return (folder / _MARKER).read_text(encoding="utf-8")
    except OSError:
        return ""


def _put(entry: Entry, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    # Links for compiled modules, which are nearly all of the size and which nobody edits.
    if entry.source and entry.source.suffix == ".so":
        with suppress(OSError):  # another file system
            os.link(entry.source, place)
            return
    place.write_bytes(entry.read())
