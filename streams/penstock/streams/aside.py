"""Calls that block, beside the event loop, in a thread that nobody has to wait for."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def aside(call: Callable[..., T], *arguments: Any) -> T:
    """Call in a thread of its own, which does not keep the process from ending, and which a cancel leaves behind."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(method: Callable[[Any], None], outcome: Any) -> None:
        if not future.done():
            method(outcome)

    def run() -> None:
        try:
            outcome: tuple[Any, Any] = (future.set_result, call(*arguments))
        except BaseException as error:  # handed on
            outcome = (future.set_exception, error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=run, daemon=True, name="penstock-kafka").start()
    return await future
