"""Fetches pinned Maven artifacts into the user's cache.

1. The files belong in one folder, named after the digest of the pins: another set is another folder.
2. What is there already is compared with its digest; only what is absent or damaged is fetched.
3. jgo downloads into a staging folder; the digest is compared; only then is the file renamed into place.
4. One process fetches at a time; the others wait for it and then find the files there.

A process killed anywhere in this leaves whole, checked files, and a staging folder that the next one clears away.
"""

from __future__ import annotations

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING

from penstock.deploy.folders import cache_folder
from penstock.deploy.locks import alone
from penstock.deploy.pins import read_pins
from penstock.deploy.progress import watching
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from rich.console import Console

    from penstock.deploy.downloads import Downloads
    from penstock.deploy.pins import Pin, Pins
    from penstock.deploy.progress import Watcher

PARALLEL = 8  # most of these files are small: the time goes into round trips


def fetch(lock: Traversable, *, console: Console | None = None) -> Path:
    """Make sure that every file pinned in ``lock`` is in the cache, downloading what is not.

    Args:
        lock: a file of pins, see `penstock.deploy.pins`.
        console: where to show the progress; nothing is shown without one, or when nothing has to be fetched.

    Returns:
        The folder that holds exactly these files.

    Raises:
        SetupError: a file cannot be downloaded or written, or is not the one that was pinned.
    """
    pins = read_pins(lock)
    folder = _folder(pins)
    if not _missing(folder, pins.files):
        return folder
    try:
        with alone(folder.with_name(f"{folder.name}.lock")):
            _complete(folder, pins, console)
    except OSError as error:
        raise SetupError(
            f"cannot write to {folder}: {error.strerror or error}. "
            "Make room or give the right to write, or choose another folder with PENSTOCK_CACHE.",
            code="CANNOT_FETCH",
        ) from error
    return folder


def _folder(pins: Pins) -> Path:
    name = pins.name.lower().replace(" ", "-")
    return cache_folder() / "maven" / f"{name}-{pins.digest[:12]}"


def _missing(folder: Path, files: Sequence[Pin]) -> list[Pin]:
    # Reading 45 MB takes a tenth of a second, so a damaged cache heals itself at every start.
    if not folder.is_dir():
        return list(files)
    with ThreadPoolExecutor(PARALLEL) as pool:
        whole = pool.map(lambda pin: _is(folder / pin.filename, pin), files)
        return [pin for pin, ok in zip(files, whole, strict=True) if not ok]


def _is(path: Path, pin: Pin) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == pin.sha256
    except FileNotFoundError:
        return False


def _complete(folder: Path, pins: Pins, console: Console | None) -> None:
    from penstock.deploy.downloads import Downloads  # jgo and requests: half a second that a full cache saves

    missing = _missing(folder, pins.files)  # again: the process we waited for may have fetched them
    if not missing:
        return
    staging = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    size = sum(pin.size for pin in missing)
    try:
        with watching(console, pins.name, files=len(missing), size=size) as watcher:
            _fetch_all(Downloads(staging, watcher), watcher, missing, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _fetch_all(downloads: Downloads, watcher: Watcher, pins: Sequence[Pin], folder: Path) -> None:
    largest_first = sorted(pins, key=lambda pin: -pin.size)
    with ThreadPoolExecutor(PARALLEL) as pool:
        running = [pool.submit(_fetch_one, downloads, pin, folder) for pin in largest_first]
        try:
            for done in as_completed(running):
                done.result()
                watcher.finished()
        except BaseException:  # Ctrl-C as well: leaving the block waits for what is running
            downloads.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch_one(downloads: Downloads, pin: Pin, folder: Path) -> None:
    path = downloads.fetch(pin)
    if not _is(path, pin):
        path.unlink()
        raise SetupError(
            f"{pin.filename} ({pin}) was downloaded, but its SHA-256 is not the pinned {pin.sha256}; it is deleted. "
            "A proxy or mirror on the way may have changed it: do not use it; try again or use another network.",
            code="DIGEST_MISMATCH",
        )
    path.replace(folder / pin.filename)
