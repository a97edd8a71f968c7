"""Bodies that the caller has compressed, inflated so that others are served meanwhile."""

from __future__ import annotations

import asyncio
import os
import zlib
from enum import Enum, auto
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

# zlib's window sizes: with a gzip header, with a zlib header.
WINDOWS: Final = {b"gzip": 31, b"deflate": 15}
# Bytes that are inflated at once; 50 KB can become 50 MB, and nobody else would be served meanwhile.
_AT_ONCE: Final = 1 << 17
# Bytes of one step of a thread, as they come and as they get: a tenth of a millisecond.
_STEP_IN: Final = 1 << 14
_STEP_OUT: Final = 1 << 16
# From so many times its size on, what a message becomes is less than it costs others, who then have this share of the
# time: tables and images in bytes seldom shrink to a twentieth, and what is all zeros to a thousandth.
_USUAL: Final = 20
_OTHERS: Final = 0.9
# Bytes of messages that may wait for a thread: of what they are, and of what they have become so far.
_MOST_WAITING: Final = 128 << 20


class Why(Enum):
    """Why a body was not inflated."""

    BROKEN = auto()
    CUT_OFF = auto()
    GOES_ON = auto()  # behind its end
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


class _Body:
    """One that takes more than a step.

    Attributes:
        inflater: has made the start of it.
        is_wanted: whether somebody waits for it.
    """

    def __init__(self, inflater: zlib._Decompress, start: bytes) -> None:
        self.inflater = inflater
        self.is_wanted = True
        self._pieces = [start]
        self._left = inflater.unconsumed_tail
        self._at, self._step = 0, b""
        self._start = self._size = len(start)

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return len(self._left) + self._size

    @property
    def is_usual(self) -> bool:
        """Whether it becomes no larger than what is worth its time."""
        return self._size - self._start <= _USUAL * self._at

    @property
    def goes_on(self) -> bool:
        """Whether some of it has not been looked at."""
        return self._at < len(self._left)

    def advance(self, most: int) -> bool:
        """Inflate one step more, to ``most`` bytes and one in all; whether there may be another."""
        if self.inflater.eof or self._size > most or not self.is_wanted:
            return False
        if not self._step:
            self._step = self._left[self._at : self._at + _STEP_IN]
            self._at += len(self._step)
        is_behind_its_end = not self._step
        piece = _inflate(self.inflater, self._step, min(_STEP_OUT, most + 1 - self._size))
        self._step = self.inflater.unconsumed_tail
        self._pieces.append(piece)
        self._size += len(piece)
        return not is_behind_its_end or bool(piece)  # else it is cut off

    def whole(self) -> bytes:
        """What it has become."""
        return b"".join(self._pieces)


class Inflating:
    """One at a time for all connections of a door, beside the event loop where it takes long.

    What becomes many times its size is taken out of this row and put in another, so that nobody else waits for it.

    A thread works in short steps and lets go of the core after each, since on a machine of one core it would be in
    the way of the event loop otherwise, for as long as the system lets a thread run.

    Args:
        most: bytes that a body may have.
        rest: takes the seconds that a thread shall do nothing for; 0 lets others go first who want to.
    """

    def __init__(self, most: int, rest: Callable[[float], None] = _rest) -> None:
        self._most = most
        self._rest = rest
        self._waiting = 0
        # Rows of asyncio, not of an executor: who gives up in one of these leaves nothing behind.
        self._row, self._slow_row = asyncio.Lock(), asyncio.Lock()

    async def inflated(self, body: bytes, window: int) -> bytes:
        """The body as it was before it was compressed.

        Args:
            body: compressed.
            window: of `WINDOWS`.

        Raises:
            NotInflatedError: it was not compressed, or not to its end; it gets larger than allowed, which is known
                before it does; or too many wait.
        """
        inflater = zlib.decompressobj(window)
        start = _inflate(inflater, body, min(_AT_ONCE, self._most + 1))
        goes_on = False
        if not inflater.eof and len(start) <= self._most:
            large = _Body(inflater, start)
            start = await self._beside(large)
            goes_on = large.goes_on
        if len(start) > self._most:
            raise NotInflatedError(Why.TOO_LARGE)
        if not inflater.eof:
            raise NotInflatedError(Why.CUT_OFF)
        if inflater.unused_data or goes_on:
            raise NotInflatedError(Why.GOES_ON)
        return start

    async def _beside(self, body: _Body) -> bytes:
        try:
            whole = await self._in_turn(self._row, self._while_usual, body)
            return await self._in_turn(self._slow_row, self._to_its_end, body) if whole is None else whole
        finally:
            body.is_wanted = False

    async def _in_turn(self, row: asyncio.Lock, work: Callable[[_Body], _T], body: _Body) -> _T:
        held = body.held
        if self._waiting + held > _MOST_WAITING:
            raise NotInflatedError(Why.TOO_MANY)
        self._waiting += held
        try:
            async with row:
                return await asyncio.get_running_loop().run_in_executor(None, work, body)
        finally:
            self._waiting -= held

    def _while_usual(self, body: _Body) -> bytes | None:
        """What it was; None where it does not stay usual."""
        while body.is_usual:
            if not body.advance(self._most):
                return body.whole()
            self._rest(0.0)
        return None

    def _to_its_end(self, body: _Body) -> bytes:
        while True:
            began = perf_counter()
            if not body.advance(self._most):
                return body.whole()
            self._rest(0.0 if body.is_usual else (perf_counter() - began) * _OTHERS / (1 - _OTHERS))


def _inflate(inflater: zlib._Decompress, body: bytes, most: int) -> bytes:
    try:
        return inflater.decompress(body, most)
    except zlib.error:
        raise NotInflatedError(Why.BROKEN) from None
