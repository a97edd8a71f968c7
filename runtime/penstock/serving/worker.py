"""The one thread in which a model is loaded and run when it may not hold up the event loop.

One, because a model's code is seldom safe in several, and because a model that is busy is what fills batches.
"""

from __future__ import annotations

import asyncio
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class Worker:
    """A thread that does what it is given, in order."""

    def __init__(self, name: str) -> None:
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # A daemon: a model that hangs must not keep a stopped service alive.
        self._thread = Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()

    def put(self, task: Callable[[], None]) -> None:
        """Have ``task`` done; it must not raise."""
        self._tasks.put(task)

    async def call(self, function: Callable[[], _T]) -> _T:
        """What ``function`` returns or raises, done in the thread."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()

        def task() -> None:
            try:
                result = function()
            except BaseException as error:  # sys.exit() in a model is a failure of the model
                failure = error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: {error}")
                loop.call_soon_threadsafe(_fail, future, failure)
            else:
                loop.call_soon_threadsafe(_succeed, future, result)

        self.put(task)
        return await future

    def stop(self) -> None:
        """End the thread after what it is doing."""
        self._tasks.put(None)


def _succeed(future: asyncio.Future[_T], result: _T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[_T], failure: Exception) -> None:
    if not future.done():
        future.set_exception(failure)
