"""A server for as long as it is used, for tests and demonstrations; several processes can share one."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Protocol, TypeVar

from penstock.deploy import tether
from penstock.deploy.locks import together
from penstock.deploy.processes import stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psutil


class Server(Protocol):
    """What can be borrowed: a process with its files in one folder."""

    folder: Path

    def process(self) -> psutil.Process | None:
        """The process that serves; None when there is none."""


Borrowed = TypeVar("Borrowed", bound=Server)


@contextmanager
def borrowed(
    make: Callable[[Path], Borrowed],
    up: Callable[[Borrowed, Sequence[str]], object],
    *,
    folder: Path | None,
    name: str,
    grace: float,
) -> Iterator[Borrowed]:
    """A running server; after its last user has left, or was killed, it and its files are gone.

    Args:
        make: the server for a folder, not started.
        up: starts it under a command (see `penstock.deploy.tether`), unless it runs, and waits until it serves.
        folder: processes that name the same folder share one server. By default a new one, for the caller alone.
        name: of the part of ``folder`` that is the server's own.
        grace: seconds that the server has between being asked to end and being killed.
    """
    base = Path(mkdtemp(prefix=f"penstock-{name}-")) if folder is None else folder.absolute()
    users, server = base / "users", make(base / name)
    remove = base if folder is None else server.folder
    keeper = (sys.executable, "-I", "-S", tether.__file__, str(users), str(remove))
    with ExitStack() as afterwards:
        if folder is None:
            afterwards.callback(shutil.rmtree, base, ignore_errors=True)
        with _joined(users):
            up(server, keeper)
            try:
                yield server
            finally:
                # Not the one that was started first: the caller may have killed that one, and started another.
                process = server.process()
                if folder is None and process:
                    # Nobody shares it: the caller can wait until it is gone, and need not leave that to the keeper.
                    afterwards.callback(stop, process, grace=grace)


@contextmanager
def _joined(users: Path) -> Iterator[None]:
    while True:
        with together(users) as joined:
            if joined:
                yield
                return
        time.sleep(0.1)  # the last user has just left: the server is being stopped
