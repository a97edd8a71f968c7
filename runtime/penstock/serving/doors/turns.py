"""Who goes on when: the connections that have more to be worked off than a turn's worth wait here for another.

One of them has a turn in a round of the event loop, however many there are. And where others were served between two
turns, these go first for a while: who asks for one thing at a time has its answer before the next turn begins.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds: of others' work between two turns that shows that there are others; an empty round takes a third of it.
_NOTICED: Final = 30e-6
# Seconds for the others, of which the loop's coarse clock takes up to one millisecond.
_PAUSE: Final = 0.002


class Turns:
    """The queue, one for all connections of a service; or two, which take turns, so that the patient hold nobody up.

    Args:
        is_busy: whether another thread of this process wants the core. Where there is one core, a loop that goes round
            without a rest lets it wait for hundreds of milliseconds: when it wakes, the interpreter has its lock taken.
        clock: seconds.
    """

    def __init__(self, is_busy: Callable[[], bool] = bool, clock: Callable[[], float] = perf_counter) -> None:
        self._is_busy = is_busy
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._eager: deque[Callable[[], None]] = deque()
        self._patient: deque[Callable[[], None]] = deque()
        self._next_of = self._eager
        self._over = 0.0
        self._is_asked = False

    def ask(self, turn: Callable[[], None], *, patient: bool = False) -> None:
        """Have ``turn`` called when it is its turn, once.

        Args:
            turn: to be called; it asks again where one turn was not enough.
            patient: whether it waits for a while in any case, also where there is nobody else.
        """
        (self._patient if patient else self._eager).append(turn)
        if not self._is_asked:
            self._is_asked = True
            self._look_soon()

    def _look_soon(self) -> None:
        self._over = self._clock()
        self._loop.call_soon(self._look)

    def _look(self) -> None:
        other = self._eager if self._next_of is self._patient else self._patient
        self._next_of = other or self._next_of
        if self._next_of is self._patient or self._clock() - self._over > _NOTICED or self._is_busy():
            self._loop.call_later(_PAUSE, self._next)
        else:
            self._next()

    def _next(self) -> None:
        try:
            self._next_of.popleft()()
        finally:
            self._is_asked = bool(self._eager or self._patient)
            if self._is_asked:
                self._look_soon()
