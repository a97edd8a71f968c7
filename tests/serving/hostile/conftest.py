from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .siege import besieged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .siege import Besieged


@pytest.fixture(scope="module")
def server() -> Iterator[Besieged]:
    with besieged() as running:
        yield running
