"""Bodies that the caller has compressed, inflated so that others are served meanwhile."""

from __future__ import annotations

import asyncio
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

# zlib's window sizes: with a gzip header, with a zlib header.
WINDOWS: Final = {b"gzip": 31, b"deflate": 15}
# Bytes that are inflated at once; 50 KB can become 50 MB, and nobody else would be served meanwhile.
_AT_ONCE: Final = 1 << 17
# Bytes of one step of the thread, as they come and as they get: a tenth of a millisecond.
_STEP_IN: Final = 1 << 14
_STEP_OUT: Final = 1 << 16
# From so many times its size on, what a message becomes is less than it costs others, who then have this share of the
# time: tables and images in bytes seldom shrink to a twentieth, and what is all zeros to a thousandth.
_USUAL: Final = 20
_OTHERS: Final = 0.9
# Bytes of messages, still compressed, that may wait for the thread.
_MOST_WAITING: Final = 128 << 20


class Why(Enum):
    """Why a body was not inflated."""

    BROKEN = auto()
    CUT_OFF = auto()
    TOO_LARGE = auto()
    TOO_MANY = auto()


class NotInflatedError(Exception):
    """A body was not inflated.

    Attributes:
        why: as a `Why`.
    """

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why = why


def _rest(seconds: float) -> None:
    if seconds or not hasattr(os, "sched_yield"):
        sleep(seconds)
    else:
        os.sched_yield()


class Inflating:
    """One at a time for all connections of a door, beside the event loop where it takes long.

    The thread works in short steps and lets go of the core after each, since on a machine of one core it would be in
    the way of the event loop otherwise, for as long as the system lets a thread run.

    Args:
        most: bytes that a body may have.
        rest: takes the seconds that the thread shall do nothing for; 0 lets others go first who want to.
    """

    def __init__(self, most: int, rest: Callable[[float], None] = _rest) -> None:
        self._most = most
        self._rest = rest
        self._waiting = 0
        self._thread: ThreadPoolExecutor | None = None

    async def inflated(self, body: bytes, window: int) -> bytes:
        """The body as it was before it was compressed.

        Args:
            body: compressed.
            window: of `WINDOWS`.

        Raises:
            NotInflatedError: it was not compressed; it gets larger than allowed, which is known before it does; or too
                many wait.
        """
        inflater = zlib.decompressobj(window)
        start = _inflate(inflater, body, min(_AT_ONCE, self._most + 1))
        if inflater.eof or len(start) > self._most:
            return self._checked(start, inflater)
        return self._checked(await self._beside(inflater, start), inflater)

    async def _beside(self, inflater: zlib._Decompress, start: bytes) -> bytes:
        left = inflater.unconsumed_tail
        if self._waiting + len(left) > _MOST_WAITING:
            raise NotInflatedError(Why.TOO_MANY)
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "inflating")
        self._waiting += len(left)
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, self._in_steps, inflater, start, left)
        finally:
            self._waiting -= len(left)

    def _in_steps(self, inflater: zlib._Decompress, start: bytes, left: bytes) -> bytes:
        pieces, size, at, step = [start], len(start), 0, b""
        while not inflater.eof and size <= self._most:
            began = perf_counter()
            if not step:
                step = left[at : at + _STEP_IN]
                at += len(step)
            piece = _inflate(inflater, step, min(_STEP_OUT, self._most + 1 - size))
            if not piece and not step:
                break  # it is cut off
            step = inflater.unconsumed_tail
            pieces.append(piece)
            size += len(piece)
            is_usual = size - len(start) <= _USUAL * at
            self._rest(0.0 if is_usual else (perf_counter() - began) * _OTHERS / (1 - _OTHERS))
        return b"".join(pieces)

    def _checked(self, body: bytes, inflater: zlib._Decompress) -> bytes:
        if len(body) > self._most:
            raise NotInflatedError(Why.TOO_LARGE)
        if not inflater.eof:
            raise NotInflatedError(Why.CUT_OFF)
        return body


def _inflate(inflater: zlib._Decompress, body: bytes, most: int) -> bytes:
    try:
        return inflater.decompress(body, most)
    except zlib.error:
        raise NotInflatedError(Why.BROKEN) from None
