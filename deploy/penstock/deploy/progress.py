"""What a person sees while it takes time: a bar or a spinner in a terminal, a few plain lines in a pipe."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console


class Watcher(Protocol):
    """Is told what arrives; called from several threads."""

    def received(self, count: int) -> None:
        """So many more bytes are here (negative: a file starts again)."""

    def finished(self) -> None:
        """One more file is complete and checked."""


class Unwatched:
    """Shows nothing."""

    def received(self, count: int) -> None:
        """Ignore it."""

    def finished(self) -> None:
        """Ignore it."""


class _Bar:
    def __init__(self, progress: Progress, name: str, *, files: int, size: int) -> None:
        self._progress, self._files, self._done, self._lock = progress, files, 0, Lock()
        self._task = progress.add_task(name, total=size, files=f"0/{files} files")

    def received(self, count: int) -> None:
        self._progress.advance(self._task, count)

    def finished(self) -> None:
        with self._lock:
            self._done += 1
            self._progress.update(self._task, files=f"{self._done}/{self._files} files")


class _Lines:
    """A line at the start and one at each quarter: enough for a log, nothing to scroll through."""

    def __init__(self, console: Console, name: str, *, files: int, size: int) -> None:
        self._console, self._name, self._files, self._size = console, name, files, size
        self._done = self._bytes = 0
        self._next = size / 4
        self._lock = Lock()
        console.print(f"fetching {name}: {files} files, {decimal(size)}", soft_wrap=True)

    def received(self, count: int) -> None:
        with self._lock:
            self._bytes += count
            if self._bytes >= self._next:
                self._next += self._size / 4
                part = f"{decimal(self._bytes)} of {decimal(self._size)}, {self._done} of {self._files} files checked"
                self._console.print(f"fetching {self._name}: {part}", soft_wrap=True)

    def finished(self) -> None:
        with self._lock:
            self._done += 1
            if self._done == self._files:
                self._console.print(f"fetched {self._name}", soft_wrap=True)


@contextmanager
def during(console: Console | None, what: str) -> Iterator[None]:
    """Say that ``what`` goes on: a spinner and the time in a terminal, a line in a pipe, nothing without a console."""
    if console is None:
        yield
    elif not console.is_terminal:
        console.print(what, soft_wrap=True)
        yield
    else:
        columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
        with Progress(*columns, console=console, transient=True) as progress:
            progress.add_task(what, total=None)
            yield


@contextmanager
def watching(console: Console | None, name: str, *, files: int, size: int) -> Iterator[Watcher]:
    """A watcher for ``files`` files of together ``size`` bytes; without a console it shows nothing."""
    if console is None:
        yield Unwatched()
    elif not console.is_terminal:
        yield _Lines(console, name, files=files, size=size)
    else:
        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[files]}")
        with Progress(*columns, DownloadColumn(), TransferSpeedColumn(), console=console, transient=True) as progress:
            yield _Bar(progress, name, files=files, size=size)
