"""A broker for as long as it is used, for tests and demonstrations; several processes can share one."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from penstock.deploy import tether
from penstock.deploy.kafka._broker import START_TIMEOUT, STOP_GRACE, Broker
from penstock.deploy.locks import together
from penstock.deploy.processes import stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console


@contextmanager
def broker(
    folder: Path | None = None, *, port: int = 0, timeout: float = START_TIMEOUT, console: Console | None = None
) -> Iterator[Broker]:
    """A running broker with empty topics; after its last user has left, or was killed, it and its files are gone.

    Args:
        folder: processes that name the same folder share one broker. By default a new one, for the caller alone.
        port: where clients connect; 0 takes a free one.
        timeout: seconds from the start of the process until it serves; downloads are not counted.
        console: where the progress of a download is shown; by default nowhere.

    Raises:
        SetupError: as `Broker.up` does.
    """
    base = Path(mkdtemp(prefix="penstock-kafka-")) if folder is None else folder.absolute()
    users, borrowed = base / "users", Broker(base / "broker", console=console)
    remove = base if folder is None else borrowed.folder
    keeper = (sys.executable, "-I", "-S", tether.__file__, str(users), str(remove))
    with ExitStack() as afterwards:
        if folder is None:
            afterwards.callback(shutil.rmtree, base, ignore_errors=True)
        with _joined(users):
            borrowed.up(port, timeout=timeout, under=keeper)
            process = borrowed.process()
            if folder is None and process:
                # Nobody shares it: the caller can wait until it is gone, and need not leave that to the keeper.
                afterwards.callback(stop, process, grace=STOP_GRACE)
            yield borrowed


@contextmanager
def _joined(users: Path) -> Iterator[None]:
    while True:
        with together(users) as joined:
            if joined:
                yield
                return
        time.sleep(0.1)  # the last user has just left: the broker is being stopped
