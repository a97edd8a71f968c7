"""A broker of this room's own, because it is killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.deploy.kafka import Broker


@pytest.fixture(scope="session")
def mortal_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    from penstock.deploy.kafka import broker

    with broker(tmp_path_factory.mktemp("chaos") / "kafka") as running:
        yield running
