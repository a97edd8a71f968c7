"""The parent: starts the workers, accepts for them, starts a new one for one that ended, adds up their numbers."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from penstock.proto import PenstockError, SetupError
from penstock.serving.about import Reachable
from penstock.serving.sockets import addresses, bind

from .handing import accept
from .heartbeat import hung
from .numbers import Numbers
from .sharing import sharing
from .worker import Worker

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from penstock.serving.about import About
    from penstock.serving.settings import Settings

_log = logging.getLogger(__name__)

# A worker that lived so long was in order; one that did not waits before it comes again, twice as long each time.
_LONG_LIFE, _FIRST_WAIT, _LONGEST_WAIT = 30.0, 0.25, 15.0
# A worker that comes again may load its model for so many times what all took at first, and for so many seconds at
# least; then it is killed, and the next may take twice as long, since it may be the machine that has become slow.
_SLOWER, _LONG_LOAD = 10, 60.0
# What a worker may take on top of the drain time until it has ended, seconds.
_LAST_STEPS = 5.0


async def serve_with_workers(settings: Settings, ready: Callable[[Reachable], None]) -> None:
    """Serve from ``settings.workers`` processes, and say when they can be reached; until cancelled.

    Raises:
        ModelLoadError: the model cannot be loaded. SetupError: a port is taken, a certificate cannot be used, or the
            system has no sockets that can be handed over.
        ServiceError: a worker ended before it was ready.
    """
    if sys.platform == "win32":
        raise SetupError("Windows cannot hand connections to workers; leave --workers at 1", code="NO_WORKERS")
    if settings.tls is not None:
        settings.tls.context()  # a wrong file is told before a large model is loaded
    with sharing(settings) as told:
        await _serve(Fleet(told), settings, ready)


async def _serve(fleet: Fleet, settings: Settings, ready: Callable[[Reachable], None]) -> None:
    try:
        about = await fleet.start()
        sockets = bind(settings)
        try:
            grpc_port, http_port = sockets.ports()
            accepting = [asyncio.create_task(fleet.accept(listener)) for listener in sockets.all()]
            ready(Reachable(about, *addresses(settings, grpc_port or http_port, http_port)))
            await asyncio.gather(*accepting, *fleet.keeping)
        finally:
            sockets.close()
    finally:
        await fleet.stop()


class Fleet:
    """The workers of one service.

    Attributes:
        keeping: tasks that look after them until cancelled.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._workers: dict[str, Worker] = {}
        self._numbers = Numbers(self._workers)
        self._patience = _LONG_LOAD
        self.keeping: list[asyncio.Task[None]] = []

    async def start(self) -> About:
        """Start all, and wait until all are ready.

        Raises:
            PenstockError: what keeps one of them from loading the model.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        names = [str(number) for number in range(self._settings.workers)]
        # The first makes what the others share.
        alone = names[: self._settings.shared is not None]
        for name in alone:
            await self._start(name)
        starting = [asyncio.create_task(self._start(name)) for name in names[len(alone) :]]
        try:
            abouts = await asyncio.gather(*starting)
        except BaseException:
            for task in starting:
                if not task.cancelling():  # a second time would cut off its stop
                    task.cancel()
            await asyncio.gather(*starting, return_exceptions=True)
            raise
        self._patience = max(_LONG_LOAD, _SLOWER * (loop.time() - began))
        self.keeping = [asyncio.create_task(self._keep(name)) for name in names]
        self.keeping.append(asyncio.create_task(self._numbers.keep()))
        return abouts[0]

    async def accept(self, listener: socket.socket) -> NoReturn:
        """Accept connections and give each to the worker that has the fewest, until cancelled."""
        await accept(listener, lambda: [worker.hand for worker in self._workers.values()])

    async def stop(self) -> None:
        """Have all answer what is in flight, and end."""
        for task in self.keeping:
            task.cancel()
        await asyncio.gather(*self.keeping, return_exceptions=True)
        grace = self._settings.drain + _LAST_STEPS
        await asyncio.gather(*(worker.stop(grace) for worker in self._workers.values()))

    async def _start(self, name: str) -> About:
        worker = await Worker.start(name, self._settings)
        try:
            about = await worker.ready()
        except BaseException:
            await worker.stop(0)
            raise
        self._workers[name] = worker
        return about

    async def _keep(self, name: str) -> None:
        """Start a new worker whenever this one ends; sooner or later, by how long they live."""
        loop = asyncio.get_running_loop()
        wait = _FIRST_WAIT
        while True:
            worker, began = self._workers[name], loop.time()
            watching = asyncio.create_task(self._watch(name, worker))
            try:
                code = await worker.ended(self._numbers.all)
            finally:
                watching.cancel()
            del self._workers[name]
            self._numbers.retire(name)
            worker.close()
            wait = _FIRST_WAIT if loop.time() - began > _LONG_LIFE else min(2 * wait, _LONGEST_WAIT)
            _log.error("worker %s (process %d) %s; the next in %.1f s", name, worker.pid, _ending(code), wait)
            await asyncio.sleep(wait)
            wait = await self._restart(name, wait)

    async def _watch(self, name: str, worker: Worker) -> None:
        """Kill a worker that lives and does not answer."""
        # Within the deadline, a run of the model may hold up the event loop where such runs have been short so far.
        seconds = self._settings.deadline + self._settings.worker_timeout
        if self._settings.worker_timeout:
            await hung(worker, seconds)
            _log.error("worker %s (process %d) has not answered for %g s, and is killed", name, worker.pid, seconds)
            worker.kill()

    async def _restart(self, name: str, wait: float) -> float:
        """Try until it is there; return the seconds that the last try had waited."""
        patience = self._patience if self._settings.worker_timeout else None
        while True:
            try:
                async with asyncio.timeout(patience):
                    await self._start(name)
            except (PenstockError, OSError) as error:  # a TimeoutError is one of these
                why: object = error
                if patience is not None and isinstance(error, TimeoutError):
                    why = f"it had not loaded its model after {patience:.0f} s, and was killed"
                    patience *= 2
                wait = min(2 * wait, _LONGEST_WAIT)
                _log.error("worker %s cannot start (%s); again in %.1f s", name, why, wait)
                await asyncio.sleep(wait)
            else:
                _log.info("worker %s is there again (process %d)", name, self._workers[name].pid)
                return wait


def _ending(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
