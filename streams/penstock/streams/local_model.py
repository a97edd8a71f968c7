"""A model inside the stream's own process. The only module of this room that knows `penstock.serving`."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from penstock.proto import Message, Meta, ServiceError, SetupError

from .calls import Answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from penstock.proto import Payload
    from penstock.serving.service import Service


class LocalModel:
    """A model that needs no network."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def predict(self, payload: Payload, puid: str, headers: Mapping[str, str] | None = None) -> Answer:  # noqa: ARG002  (no transport takes them)
        """Ask once."""
        reply = await self._service.predict(Message(payload, Meta(puid=puid)))
        if reply.payload is None:
            raise ServiceError("the model answered without a payload", code="NO_PAYLOAD")
        return Answer(reply.payload, self._service.model.name, self._service.model.version)


@asynccontextmanager
async def local_model(path: Path, deadline: float) -> AsyncIterator[LocalModel]:
    """Load a model, and let it go at the end.

    Args:
        path: an ONNX or TFLite file, or the folder of a Python model.
        deadline: seconds for one call.

    Raises:
        SetupError: ``penstock[serving]`` is not installed. ModelLoadError: the model cannot be loaded.
    """
    try:
        from penstock.serving.service import Service  # lazily: a stream that asks a service does not need it
        from penstock.serving.settings import Settings
    except ImportError as error:
        raise SetupError(f"a model inside the stream needs penstock[serving]: {error}", code="NOT_INSTALLED") from None
    service = await Service.start(Settings(model=path, deadline=deadline))
    try:
        yield LocalModel(service)
    finally:
        await service.stop()
