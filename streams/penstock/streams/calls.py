"""Asking the model: a service by its address, or a model inside this process. Both look the same from here."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from penstock.client import AsyncClient, Retries, Tls
from penstock.proto import PenstockError, SetupError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from penstock.proto import Payload

    from .spec import Service

# One try for each call: between tries the stream decides, because a rebalance or a stop must not wait for them.
_ONE_TRY = Retries(attempts=1)


class Answer(NamedTuple):
    """What a model has answered.

    Attributes:
        payload: the prediction.
        model: its name; empty where the service does not tell.
        version: its version; empty where the service does not tell.
    """

    payload: Payload
    model: str
    version: str


class Caller(Protocol):
    """Something that answers."""

    async def predict(self, payload: Payload, puid: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask once.

        Args:
            payload: what is asked.
            puid: of the call.
            headers: for the transport, where there is one: ``traceparent``.

        Raises:
            PenstockError: whatever went wrong.
        """
        ...


@asynccontextmanager
async def caller(service: Service) -> AsyncIterator[Caller]:
    """What the spec names, opened and at the end closed.

    Raises:
        SetupError: a secret is not in the environment. ModelLoadError: the model cannot be loaded.
    """
    if service.model is None:
        async with AsyncClient(
            service.address,
            deadline=service.deadline,
            retries=_ONE_TRY,
            token=secret(service.token_env) or None,
            tls=Tls(ca_file=str(service.ca_file) if service.ca_file else None),
        ) as client:
            yield RemoteModel(client)
    else:
        from .local_model import local_model

        async with local_model(service.model, service.deadline) as local:
            yield local


def secret(variable: str) -> str:
    """The value of an environment variable; empty where none is named.

    Raises:
        SetupError: the variable is not set.
    """
    if not variable:
        return ""
    value = os.environ.get(variable, "")
    if not value:
        raise SetupError(f"the environment variable {variable}, which the spec names, is not set", code="NO_SECRET")
    return value


class RemoteModel:
    """A service that runs elsewhere."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._name: tuple[str, str] | None = None

    async def predict(self, payload: Payload, puid: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask once."""
        reply = await self._client.predict(payload, kind=payload.kind, puid=puid, headers=headers)
        model, version = reply.model, reply.version
        if not model:
            model, version = await self._told()
        return Answer(reply.payload, model, version)

    async def _told(self) -> tuple[str, str]:
        """What a service that does not name its model in each answer tells about itself, asked once."""
        if self._name is None:
            try:
                metadata = await self._client.metadata()
            except PenstockError:
                self._name = ("", "")
            else:
                self._name = (metadata.name, next(iter(metadata.versions), ""))
        return self._name
