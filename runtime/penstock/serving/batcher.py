"""The micro-batcher: what arrives while the model is busy goes in one run, and nothing ever waits for a timer.

1. `Batcher.submit` puts a request in the queue and asks for a run.
2. The event loop goes round until a few rounds have brought nothing new: some microseconds where nobody else calls.
   Then the oldest request, and all behind it that may run with it (equal keys, up to ``max_rows``), are taken out.
3. They run in the event loop where runs of that size have been short, else in the worker thread; what arrives
   meanwhile is gathered for the next run.
4. Each answer goes to the request it belongs to. Where a run fails, its halves are run, until what fails is alone.

A request that is cancelled or late is dropped when its turn comes: who asked is already done.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from itertools import islice
from math import inf
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Protocol

from penstock.proto import DeadlineExceeded, Overloaded, Unavailable

from .failures import told

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .metrics import Metrics
    from .models import Answer, Work
    from .settings import Settings
    from .worker import Worker

    Run = Callable[[Sequence[Work]], list[Answer]]
    Outcome = Answer | BaseException

_log = logging.getLogger(__name__)

# Below this many seconds a hand-over to the thread and back costs more than it frees; above, other callers notice.
_SHORT = 0.001
# Rounds of the event loop without a new request after which a run begins. grpcio brings in one request in two to four
# rounds, so with 64 callers 0 rounds make runs of 1.2 rows, 6 rounds runs of dozens: 300 µs of CPU a call against 190.
# Our own doors bring in all that has come in one round: 0 make runs of 24, 1 runs of 36. An empty round takes 2 µs to
# 5 µs and a look at all sockets, so after a run of one request, whose caller is alone, there is none. By engine: after
# a run of one request, and after one of several.
_QUIET_ROUNDS = {"grpcio": (6, 6), "penstock": (0, 1)}
# Seconds after which a run begins, however many requests still come.
_LONGEST_GATHERING = 0.001
# Requests in a full queue that are looked at, whether somebody still waits for them, for each that is refused: to look
# at 16,384 each time takes 1.2 ms, thirty times as long as an answer.
_LOOKS_PER_REFUSAL = 64
# Seconds from one look at all deadlines to the next: thousands that wait run out one by one, and a look at 8,000 takes
# a millisecond.
_BETWEEN_ALARMS = 0.01
# How often, in seconds, is looked whether all have their answers, where the service is stopping.
_LOOK = 0.01
# How much the newest run counts in the running mean of its size.
_NEWEST = 0.2
# Runs of a size that are measured at first, and of how many later ones one is.
_LOOKED_AT, _LOOK_EVERY = 16, 16


class Asker(Protocol):
    """Who waits for an answer: an `asyncio.Future`, or whatever else can be told, once, and without a wait."""

    def done(self) -> bool:
        """Whether it has been told, or does not want to be any more."""

    def set_result(self, answer: Answer, /) -> object:
        """The answer."""

    def set_exception(self, error: Exception, /) -> object:
        """Why there is none."""


class _Job:
    """One request in the queue."""

    __slots__ = ("asker", "deadline", "seconds", "work")

    def __init__(self, work: Work, asker: Asker, deadline: float, seconds: float) -> None:
        self.work = work
        self.asker = asker
        self.deadline = deadline
        self.seconds = seconds


class Batcher:
    """The queue in front of one model. Made and used in one event loop."""

    def __init__(self, run: Run, settings: Settings, worker: Worker, metrics: Metrics, *, inline: bool) -> None:
        self._run = run
        self._worker = worker
        self._metrics = metrics
        self._pace = _Pace() if inline else None
        self._max_rows = settings.max_batch
        self._max_queue = settings.max_queue
        self._wait = settings.batch_wait
        self._rounds = _QUIET_ROUNDS[settings.grpc_engine]
        self._quiet_rounds = self._rounds[0]
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Job] = deque()
        self._running: list[_Job] = []
        self._rows = 0
        self._refused = 0  # since was looked for who does not wait any more
        self._turn_at: asyncio.Handle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = inf

    @property
    def rows(self) -> int:
        """How many wait for the model."""
        return self._rows

    @property
    def pending(self) -> int:
        """How many requests have no answer yet."""
        return len(self._pending())

    @property
    def is_away(self) -> bool:
        """Whether the thread has a run to do."""
        return bool(self._running)

    def submit(self, work: Work, seconds: float) -> asyncio.Future[Answer]:
        """Queue ``work``; its answer, or the error, will be in the future within ``seconds``.

        Raises:
            Overloaded: the queue is full.
        """
        future: asyncio.Future[Answer] = self._loop.create_future()
        self.submit_for(future, work, seconds)
        return future

    def submit_for(self, asker: Asker, work: Work, seconds: float) -> None:
        """As `submit`, for an ``asker`` of the caller's own."""
        if self._rows + work.rows > self._max_queue:
            self._make_room(work.rows)
        deadline = self._loop.time() + seconds
        job = _Job(work, asker, deadline, seconds)
        self._waiting.append(job)
        self._rows += work.rows
        if deadline < self._alarm_at:
            self._watch(deadline)
        if not self._running and (self._turn_at is None or self._wait):
            self._ask_for_turn()

    def _make_room(self, rows: int) -> None:
        self._refused += 1
        if self._refused * _LOOKS_PER_REFUSAL >= len(self._waiting):
            self._refused = 0
            self._waiting = deque(job for job in self._waiting if not job.asker.done())
            self._rows = sum(job.work.rows for job in self._waiting)
        # A request of more rows than the queue holds is still served where nothing else waits.
        if self._waiting and self._rows + rows > self._max_queue:
            raise Overloaded(f"{self._rows} rows wait for the model already, {self._max_queue} may; try again later")

    def _ask_for_turn(self) -> None:
        full = self._rows >= self._max_rows
        if self._turn_at is not None:
            if not full:
                return
            self._turn_at.cancel()
        if self._wait and not full:
            self._turn_at = self._loop.call_later(self._wait, self._turn)
        else:
            end = self._loop.time() + _LONGEST_GATHERING
            self._turn_at = self._loop.call_soon(self._gather, self._rows, self._quiet_rounds, end)

    def _gather(self, seen: int, rounds: int, end: float) -> None:
        rows = self._rows
        if rows > seen:
            rounds = self._quiet_rounds
        if not rounds or rows >= self._max_rows or self._loop.time() >= end:
            self._turn()
        else:
            self._turn_at = self._loop.call_soon(self._gather, rows, rounds - 1, end)

    def _turn(self) -> None:
        self._turn_at = None
        if self._running:
            return
        jobs = self._take()
        if not jobs:
            return
        self._quiet_rounds = self._rounds[len(jobs) > 1]
        works = [job.work for job in jobs]
        if self._pace is not None and self._pace.is_short(works):
            self._deliver(jobs, *self._timed(works))
            if self._waiting and self._turn_at is None:
                self._turn_at = self._loop.call_soon(self._turn)
        else:
            self._running = jobs
            self._worker.put(lambda: self._away(works))

    def _take(self) -> list[_Job]:
        """The oldest request that still wants an answer, and those that may run with it."""
        waiting, left, taken, rows = self._waiting, deque[_Job](), list[_Job](), 0
        while waiting and (len(waiting) == 1 or waiting[0].work.key is None or waiting[0].asker.done()):
            job = waiting.popleft()
            self._rows -= job.work.rows
            if not job.asker.done():
                return [job]  # nothing may, or can, run with it
        for index, job in enumerate(waiting):
            work = job.work
            if job.asker.done():
                self._rows -= work.rows
            elif not taken or work.key == taken[0].work.key:
                if taken and rows + work.rows > self._max_rows:
                    left.extend(islice(waiting, index, None))
                    break
                taken.append(job)
                rows += work.rows
            else:
                left.append(job)
        self._waiting = left
        self._rows -= rows
        return taken

    def _timed(self, works: list[Work]) -> tuple[list[Outcome], float]:
        started = perf_counter()
        if self._pace is None or not self._pace.wants(works):
            return attempt(self._run, works), perf_counter() - started
        # The thread's own time: waiting for the interpreter's lock says nothing about the model.
        worked = thread_time()
        outcomes = attempt(self._run, works)
        self._pace.learn(works, thread_time() - worked)
        return outcomes, perf_counter() - started

    def _away(self, works: list[Work]) -> None:
        outcomes, seconds = self._timed(works)
        try:
            self._loop.call_soon_threadsafe(self._back, outcomes, seconds)
        except RuntimeError:  # the loop was closed meanwhile: nobody waits for these answers
            return

    def _back(self, outcomes: list[Outcome], seconds: float) -> None:
        jobs, self._running = self._running, []
        self._deliver(jobs, outcomes, seconds)
        self._turn()

    def _deliver(self, jobs: list[_Job], outcomes: list[Outcome], seconds: float) -> None:
        self._metrics.run(sum([job.work.rows for job in jobs]), seconds)
        for job, outcome in zip(jobs, outcomes, strict=True):
            if not job.asker.done():
                _tell(job.asker, outcome)

    def _watch(self, deadline: float) -> None:
        """One timer for all: it stands at the earliest deadline."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = deadline
        self._alarm = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._alarm, self._alarm_at = None, inf
        now, earliest = self._loop.time(), inf
        for job in (*self._running, *self._waiting):
            if job.asker.done():
                continue
            if job.deadline <= now:
                _tell(job.asker, DeadlineExceeded(f"the model had no answer within {job.seconds:.3g} s"))
            else:
                earliest = min(earliest, job.deadline)
        if earliest < inf:
            self._watch(max(earliest, now + _BETWEEN_ALARMS))

    async def stop(self, seconds: float) -> None:
        """Wait until all that is here has its answer; what has none after ``seconds`` gets `Unavailable`."""
        end = self._loop.time() + seconds
        # Looked at again and again, since a caller that gives up tells nobody.
        while self._pending() and (left := end - self._loop.time()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left, _LOOK))
        for asker in self._pending():
            _tell(asker, Unavailable("the service was stopped before the model had an answer"))
        if self._alarm is not None:
            self._alarm.cancel()

    def _pending(self) -> list[Asker]:
        return [job.asker for job in (*self._running, *self._waiting) if not job.asker.done()]


def _tell(asker: Asker, outcome: Outcome) -> None:
    try:
        if isinstance(outcome, BaseException):
            asker.set_exception(told(outcome))
        else:
            asker.set_result(outcome)
    except Exception:
        # A door goes on from here, with whatever its caller has sent next: where that fails, in a way that nobody has
        # thought of, the others of the run have left the queue, and would wait for ever.
        _log.exception("an answer could not be given")


class _Pace:
    """How long runs take, by the power of two of their size.

    The first runs of a size are all looked at, later ones now and then: to ask for the thread's time is a call of the
    system, 2 µs for each request where nobody shares a run.
    """

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._runs: dict[int, int] = {}

    def is_short(self, works: list[Work]) -> bool:
        """Whether a run of this size was short so far; one never seen is not."""
        return self._seconds.get(_size(works), inf) < _SHORT

    def wants(self, works: list[Work]) -> bool:
        """Whether the next run of this size shall be measured."""
        size = _size(works)
        count = self._runs[size] = self._runs.get(size, 0) + 1
        return count <= _LOOKED_AT or not count % _LOOK_EVERY

    def learn(self, works: list[Work], seconds: float) -> None:
        size = _size(works)
        mean = self._seconds.get(size, seconds)
        self._seconds[size] = mean + _NEWEST * (seconds - mean)


def _size(works: list[Work]) -> int:
    if len(works) == 1:
        return works[0].elements.bit_length()
    return sum([work.elements for work in works]).bit_length()


def attempt(run: Run, works: list[Work]) -> list[Outcome]:
    """Run once for all; where that fails, for each half, until what fails is alone. Outcomes in order."""
    try:
        return [answer for _, answer in zip(works, run(works), strict=True)]
    except BaseException as error:  # sys.exit() in a model is a failure of the model
        if len(works) == 1:
            return [error]
    # Behind the clause, not in it: what then fails alone would bring all these failures into the log as its context.
    middle = len(works) // 2
    return attempt(run, works[:middle]) + attempt(run, works[middle:])
