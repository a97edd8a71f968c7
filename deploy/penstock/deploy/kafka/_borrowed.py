"""A broker for as long as it is used, for tests and demonstrations; several processes can share one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from penstock.deploy.borrowing import borrowed
from penstock.deploy.kafka._broker import START_TIMEOUT, STOP_GRACE, Broker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

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

    def make(place: Path) -> Broker:
        return Broker(place, console=console)

    def up(server: Broker, under: Sequence[str]) -> object:
        return server.up(port, timeout=timeout, under=under)

    with borrowed(make, up, folder=folder, name="broker", grace=STOP_GRACE) as running:
        yield running
