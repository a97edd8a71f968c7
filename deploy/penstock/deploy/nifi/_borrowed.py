"""A NiFi for as long as it is used, for tests and demonstrations; several processes can share one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from penstock.deploy.borrowing import borrowed
from penstock.deploy.nifi._server import START_TIMEOUT, STOP_GRACE, NiFi

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rich.console import Console


@contextmanager
def nifi(
    folder: Path | None = None, *, port: int = 0, timeout: float = START_TIMEOUT, console: Console | None = None
) -> Iterator[NiFi]:
    """A running NiFi with an empty canvas; after its last user has left, or was killed, it and its files are gone.

    Args:
        folder: processes that name the same folder share one NiFi. By default a new one, for the caller alone.
        port: of the canvas and the REST API; 0 takes a free one.
        timeout: seconds from the start of the process until it serves; downloads are not counted.
        console: where the progress is shown; by default nowhere.

    Raises:
        SetupError: as `NiFi.up` does.
    """

    def make(place: Path) -> NiFi:
        return NiFi(place, console=console)

    def up(server: NiFi, under: Sequence[str]) -> object:
        return server.up(port, timeout=timeout, under=under)

    with borrowed(make, up, folder=folder, name="nifi", grace=STOP_GRACE) as running:
        yield running
