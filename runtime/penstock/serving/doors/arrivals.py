"""Tells of connections that do not read when there is something to be read.

The event loop reads each connection that it listens to as soon as something has come, up to 256 KiB, and all of them in
one round. So who can wait is not listened to there but watched here, and read by hand when it is its turn.
"""

from __future__ import annotations

import asyncio
import select
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Arrivals:
    """Watches those of a service's connections that have paused reading."""

    def __init__(self) -> None:
        self._epoll: Any = None
        self._waiting: dict[int, Callable[[], None]] = {}

    def watch(self, transport: asyncio.Transport, came: Callable[[], None]) -> int:
        """Have ``came`` called, once, when bytes have come, or the peer has gone.

        Returns:
            The socket's descriptor, to read from. -1 where it cannot be watched: its bytes are encrypted, or this
            system has no epoll. Then ``came`` is not called.
        """
        if transport.get_extra_info("ssl_object") is not None or not hasattr(select, "epoll"):
            return -1
        if self._epoll is None:
            self._epoll = select.epoll()
            asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._look)
        descriptor: int = transport.get_extra_info("socket").fileno()
        self._waiting[descriptor] = came
        self._epoll.register(descriptor, select.EPOLLIN)
        return descriptor

    def forget(self, came: Callable[[], None]) -> None:
        """Do not call ``came`` any more: the connection is lost, and its descriptor will be another one's."""
        for descriptor, waiting in self._waiting.items():
            if waiting == came:
                del self._waiting[descriptor]
                with suppress(OSError):  # closed already
                    self._epoll.unregister(descriptor)
                return

    def close(self) -> None:
        """Watch nothing any more."""
        if self._epoll is not None:
            asyncio.get_running_loop().remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None

    def _look(self) -> None:
        for descriptor, _ in self._epoll.poll(0):
            self._epoll.unregister(descriptor)
            self._waiting.pop(descriptor)()
