from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.deploy.canvas.secured import SecuredNiFi, secured

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def secured_nifi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredNiFi]:
    """A real NiFi with https, users and policies; a JVM of its own, so its tests are few and in one xdist group."""
    with secured(tmp_path_factory.mktemp("secured")) as running:
        yield running
