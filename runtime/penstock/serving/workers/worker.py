"""One worker as the parent sees it: a process, and the two pairs of sockets to it."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from penstock.proto import ServiceError

from .channel import Asked, Beat, Channel, Failed, Ready, Told
from .handing import Hand

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Awaitable, Callable

    from penstock.serving.about import About
    from penstock.serving.exposition import Family
    from penstock.serving.settings import Settings

_MODULE = "penstock.serving.workers.child"


class Worker:
    """A process that serves.

    Attributes:
        hand: gives it connections.
        has_spoken: whether it has said anything since the last `beat`.
    """

    def __init__(self, process: Process, channel: Channel, hand: Hand) -> None:
        self.hand = hand
        self.has_spoken = True
        self._process = process
        self._channel = channel
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[list[Family]]] = {}

    @classmethod
    async def start(cls, name: str, settings: Settings) -> Worker:
        """Start one; it is there before its model is."""
        (ours, theirs), (giving, taking) = socket.socketpair(), socket.socketpair()
        with theirs, taking:
            # A process of its own from the first line: a fork would inherit threads that are not there any more.
            # -P: the current folder is the model's, and no place to import from. A session of its own: Ctrl-C reaches
            # every process of the terminal's, but it is for the parent to tell when to stop.
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", _MODULE, name, str(theirs.fileno()), str(taking.fileno()),
                pass_fds=(theirs.fileno(), taking.fileno()), start_new_session=True,
            )  # fmt: skip
        channel = await Channel.open(ours)
        channel.send(settings)
        return cls(process, channel, Hand(giving))

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    async def ready(self) -> About:
        """Wait until it has loaded the model.

        Raises:
            PenstockError: what kept it from loading. ServiceError: it ended without a word.
        """
        match await self._channel.receive():
            case Ready(about):
                return about
            case Failed(error):
                raise error
        code = await self._process.wait()
        raise ServiceError(f"a worker ended with {code} before it was ready; its log tells why", code="WORKER_ENDED")

    async def ended(self, all_numbers: Callable[[], Awaitable[list[Family]]]) -> int:
        """Answer its questions until it has ended; return its exit code, below 0 the signal that killed it."""
        async with asyncio.TaskGroup() as answers:
            while (message := await self._channel.receive()) is not None:
                self.has_spoken = True
                if isinstance(message, Asked):
                    answers.create_task(self._answer(message.number, all_numbers))
                elif isinstance(message, Told):
                    asked = self._asked.pop(message.number, None)
                    if asked is not None and not asked.done():  # nobody waits any more
                        asked.set_result(message.families)
        return await self._process.wait()

    async def _answer(self, number: int, all_numbers: Callable[[], Awaitable[list[Family]]]) -> None:
        self._channel.send(Told(number, await all_numbers()))

    async def numbers(self, patience: float) -> list[Family] | None:
        """What it counts; None where it does not tell within ``patience`` seconds."""
        number = next(self._numbers)
        self._asked[number] = asyncio.get_running_loop().create_future()
        self._channel.send(Asked(number))
        try:
            async with asyncio.timeout(patience):
                return await self._asked[number]
        except TimeoutError:
            return None
        finally:
            self._asked.pop(number, None)

    def beat(self) -> None:
        """Ask whether it is there; `has_spoken` will tell."""
        self.has_spoken = False
        self._channel.send(Beat())

    async def stop(self, grace: float) -> None:
        """Have it answer what is in flight and end; kill it where that takes more than ``grace`` seconds."""
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()
        self.close()

    def kill(self) -> None:
        """End it, now."""
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        """Let go of the sockets to it."""
        self._channel.close()
        self.hand.close()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
