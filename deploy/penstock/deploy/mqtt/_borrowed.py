"""A broker for as long as it is used, for tests and for trying out."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from penstock.deploy.borrowing import borrowed
from penstock.deploy.mqtt._broker import STOP_GRACE, Broker
from penstock.deploy.mqtt._mosquitto import Security
from penstock.deploy.ports import usable_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@contextmanager
def broker(*, port: int = 0, security: Security | None = None, kind: str = "") -> Iterator[Broker]:
    """A running broker on 127.0.0.1 without sessions; after the block, or when its user was killed, it is gone.

    Args:
        port: where clients connect; 0 takes a free one.
        security: TLS, users, and what each may do; by default everybody may do everything.
        kind: ``mosquitto`` or ``amqtt``; by default the first that is there.

    Raises:
        SetupError: neither is there, the port is taken, or the start failed.
    """

    def make(place: Path) -> Broker:
        return Broker(place, usable_port(port, 0), security or Security(), kind)

    def up(server: Broker, under: Sequence[str]) -> None:
        server.up(under=under)

    with borrowed(make, up, folder=None, name="mqtt", grace=STOP_GRACE) as running:
        yield running
