"""What the parent and a worker tell each other, over a pair of sockets that only they have."""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

    from penstock.proto import PenstockError
    from penstock.serving.about import About
    from penstock.serving.exposition import Family


@dataclass(frozen=True, slots=True)
class Ready:
    """From a worker: the model is loaded, connections may come."""

    about: About


@dataclass(frozen=True, slots=True)
class Failed:
    """From a worker: it cannot start."""

    error: PenstockError


@dataclass(frozen=True, slots=True)
class Asked:
    """From the parent: tell your numbers. From a worker: tell those of all."""

    number: int


@dataclass(frozen=True, slots=True)
class Told:
    """The answer to `Asked`, with its number."""

    number: int
    families: list[Family]


@dataclass(frozen=True, slots=True)
class Beat:
    """From the parent: are you there? From a worker: yes."""


class Channel:
    """One end; messages arrive whole and in order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> Channel:
        """Take over one end of the pair."""
        return cls(*await asyncio.open_unix_connection(sock=end))

    def send(self, message: object) -> None:
        """Send, without waiting; nothing where the other side is gone."""
        data = pickle.dumps(message)
        self._writer.write(len(data).to_bytes(4) + data)

    async def receive(self) -> Any:
        """The next message; None where the other side is gone."""
        try:
            size = int.from_bytes(await self._reader.readexactly(4))
            return pickle.loads(await self._reader.readexactly(size))  # noqa: S301  (nobody else has the other end)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    def close(self) -> None:
        """Hang up."""
        self._writer.close()
