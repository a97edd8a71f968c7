"""A worker: loads the model, takes connections from the parent, and answers.

``python -m penstock.serving.workers.child`` is how the parent starts it.
It ends when the parent says so (SIGTERM) or is gone, either way after what is in flight.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from shutil import rmtree
from typing import TYPE_CHECKING

from penstock.proto import ModelLoadError, PenstockError
from penstock.serving.about import About
from penstock.serving.doors.listener import start_listeners
from penstock.serving.lifecycle import settle
from penstock.serving.process import run_until
from penstock.serving.service import Service

from .channel import Asked, Beat, Channel, Failed, Ready, Told
from .handing import Taker

if TYPE_CHECKING:
    from penstock.serving.doors.listener import Listeners
    from penstock.serving.exposition import Family
    from penstock.serving.settings import Settings


def main() -> None:
    """Run; the arguments are the worker's name and its two sockets' numbers."""
    name, channel, connections = sys.argv[1:]
    form = f"%(asctime)s %(levelname)s worker {name} %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=form, stream=sys.stderr)
    ends = socket.socket(fileno=int(channel)), Taker(socket.socket(fileno=int(connections)))
    run_until(_work(*ends), [signal.SIGTERM])


async def _work(end: socket.socket, taker: Taker) -> None:
    channel = await Channel.open(end)
    settings: Settings | None = await channel.receive()
    if settings is None:
        return
    try:
        service = await Service.start(settings)
        listeners = await start_listeners(service, settings, None)
    except PenstockError as error:
        channel.send(Failed(ModelLoadError(error.message, code=error.code)))
        return
    work = Work(service, listeners, channel, taker)
    try:
        settle()
        await work.until_the_parent_is_gone()
        if settings.shared is not None:  # nobody else is left to remove it
            rmtree(settings.shared, ignore_errors=True)
    finally:
        service.ready = False
        work.ask_no_more()
        await asyncio.gather(service.stop(), listeners.stop(settings.drain))


class Work:
    """What a worker does beside answering: take connections, and tell numbers."""

    def __init__(self, service: Service, listeners: Listeners, channel: Channel, taker: Taker) -> None:
        self._service = service
        self._listeners = listeners
        self._channel = channel
        self._taker = taker
        self._taken = self._gone = 0
        self._adopting: set[asyncio.Task[None]] = set()
        self._asked: dict[int, asyncio.Future[list[Family]]] = {}

    async def until_the_parent_is_gone(self) -> None:
        """Say that the worker is ready, and do what the parent asks."""
        self._service.colleagues = self._all_numbers
        self._listeners.connections.on_close = self._report
        asyncio.get_running_loop().add_reader(self._taker.fileno(), self._take)
        model = self._service.model
        self._channel.send(Ready(About(model.name, model.version, model.platform)))
        while (message := await self._channel.receive()) is not None:
            if isinstance(message, Beat):
                self._channel.send(message)
            elif isinstance(message, Asked):
                self._channel.send(Told(message.number, list(self._service.metrics.families())))
            elif isinstance(message, Told):
                self._answer(message.number, message.families)

    async def _all_numbers(self) -> list[Family]:
        number = max(self._asked, default=0) + 1
        answer: asyncio.Future[list[Family]] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        self._channel.send(Asked(number))
        return await answer

    def _answer(self, number: int, families: list[Family]) -> None:
        answer = self._asked.pop(number, None)
        if answer is not None and not answer.done():  # its caller may have hung up
            answer.set_result(families)

    def ask_no_more(self) -> None:
        """The parent answers no more: who waits for the numbers of all is told those of this worker."""
        self._service.colleagues = None
        for number in list(self._asked):
            self._answer(number, list(self._service.metrics.families()))

    def _take(self) -> None:
        try:
            connection = self._taker.take()
        except EOFError:
            asyncio.get_running_loop().remove_reader(self._taker.fileno())
            return
        if connection is not None:
            self._taken += 1
            task = asyncio.create_task(self._adopt(connection))
            self._adopting.add(task)
            task.add_done_callback(self._adopted)

    async def _adopt(self, connection: socket.socket) -> None:
        try:
            await self._listeners.adopt(connection)
        except OSError:  # it is broken already, or there was no TLS in it
            connection.close()

    def _adopted(self, task: asyncio.Task[None]) -> None:
        self._adopting.discard(task)
        self._report()

    def _report(self) -> None:
        """Tell the parent what has been closed, so that it knows who has the fewest."""
        gone = self._taken - len(self._adopting) - len(self._listeners.connections)
        if gone > self._gone:
            self._taker.gone(gone - self._gone)
            self._gone = gone


if __name__ == "__main__":
    main()
