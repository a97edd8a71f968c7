"""Calls with more than one message: what health's Watch and reflection need, and no more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from .grpc_messages import COMPRESSED, PREFIX, check_size
from .grpc_status import Refused

if TYPE_CHECKING:
    from penstock.http2.streams import Stream

# Of what one message may take: requests of these methods are names.
_MOST: Final = 1 << 16


class StreamCall:
    """One call.

    Args:
        stream: its stream.
        send: sends a message.
        took: says that what came is taken.
        end: ends the call, because more came than is read.
    """

    def __init__(
        self,
        stream: Stream,
        send: Callable[[bytes], None],
        took: Callable[[Stream], None],
        end: Callable[[Stream], None],
    ) -> None:
        self.send = send
        self._stream = stream
        self._took = took
        self._end = end
        self._rest = b""
        self._came = asyncio.Event()

    def came(self, stream: Stream) -> None:
        """Part of the body has come, or its end."""
        self._rest += stream.body()
        self._took(stream)
        self._came.set()
        if len(self._rest) > 2 * _MOST:
            self._rest = b""
            self._end(stream)

    async def receive(self) -> bytes | None:
        """The next message; None where there are no more.

        Raises:
            Refused: it is none, or too large.
        """
        while True:
            message = self._next()
            if message is not None:
                return message
            if self._stream.has_all:
                return None
            self._came.clear()
            await self._came.wait()

    def _next(self) -> bytes | None:
        rest = self._rest
        if len(rest) < PREFIX:
            return None
        size = int.from_bytes(rest[1:PREFIX])
        check_size(size, _MOST)
        if len(rest) < PREFIX + size:
            return None
        message, self._rest = rest[PREFIX : PREFIX + size], rest[PREFIX + size :]
        if rest[0] & COMPRESSED:
            raise Refused("UNIMPLEMENTED", "messages of this method are not compressed")
        return message


StreamHandler = Callable[[StreamCall], Awaitable[None]]
