"""One model behind both engines of gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penstock.proto import Limits

from .calls import LARGEST_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..conftest import Served


@pytest.fixture(scope="session")
def engines(serve: Callable[..., Served]) -> dict[str, str]:
    """Their addresses."""
    limits = Limits(message_bytes=LARGEST_MESSAGE)
    return {name: serve("units", grpc_engine=name, limits=limits).grpc for name in ("grpcio", "penstock")}
