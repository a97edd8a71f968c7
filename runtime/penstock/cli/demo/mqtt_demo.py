"""The demo with MQTT: base stations ask for forecasts, each at topics of its own, and are watched."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack
from itertools import islice
from statistics import fmean, median
from typing import TYPE_CHECKING, Final

from penstock.proto import SetupError

from .forecasts import Board, questions
from .mqtt_stack import MODEL, MqttStack
from .stations import PARAMETER, STATIONS, learned
from .steps import step

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from penstock.streams.forecast.spec import Scale
    from penstock.streams.mqtt import Client

    from .forecasts import Question
    from .running import Ports

_READINGS: Final = 6000
# The first ones come slowly enough to be looked at; the rest as fast as the worker takes them.
_WATCHED, _PER_SECOND = 180, 30
_AT_ONCE: Final = 256
_REFRESH: Final = 0.1
_LINE_EVERY: Final = 1.0


class MqttDemo:
    """Brings it up, shows it, and tells where it is."""

    def __init__(self, console: Console) -> None:
        self.stack = MqttStack()
        self._console = console

    def run(self, ports: Ports, count: int | None) -> None:
        """Bring everything up and let the stations ask."""
        scale = self._bring_up(ports)
        traffic = _Traffic(self.stack, Board(count or _READINGS, scale))
        self._console.print(
            f"\n{_WATCHED} readings at {_PER_SECOND} a second, to be watched; then the rest at full speed"
        )
        self._watch(traffic)
        self._sum_up(traffic)

    def print_addresses(self) -> None:
        """Tell where everything is that was left running."""
        folder = self.stack.folder
        self._console.print(
            f"\nleft running:\n"
            f"  broker   127.0.0.1:{self.stack.port}   topics stations/+/readings, stations/+/forecasts\n"
            f"  worker   penstock mqtt serve {self.stack.settings}\n"
            f"  ask it   penstock mqtt ask {folder}/{STATIONS[0]}.json --file readings.csv\n"
            f"stop it with `penstock demo --stop`",
            soft_wrap=True,
        )

    def _bring_up(self, ports: Ports) -> Scale:
        from penstock.streams.forecast.training import train

        stack, console = self.stack, self._console
        with step(console, "broker") as said:
            said.append(stack.start_broker(ports.server))
        with step(console, "model") as said:
            trained = train(learned())
            trained.save(stack.model)
            said.append(f"trained on {trained.learned:,} windows of six readings, exported to ONNX")
        with step(console, "worker") as said:
            stack.start_worker()
            said.append("topics stations/+/readings → model → stations/+/forecasts")
        return trained.parameters[PARAMETER]

    def _watch(self, traffic: _Traffic) -> None:
        from rich.live import Live

        board, console = traffic.board, self._console
        if console.is_terminal:
            with Live(board.frame(), console=console, auto_refresh=False) as live:
                asyncio.run(traffic.run(lambda: live.update(board.frame(), refresh=True)))
            return
        printed = time.perf_counter()

        def refresh() -> None:
            nonlocal printed
            line = board.line()
            if time.perf_counter() - printed >= _LINE_EVERY:
                printed = time.perf_counter()
                console.print(line)

        asyncio.run(traffic.run(refresh))

    def _sum_up(self, traffic: _Traffic) -> None:
        from rich.table import Table

        board = traffic.board
        table = Table(show_header=False, box=None, padding=(0, 2))
        table.add_row("answered", f"{len(board.errors):,} of {board.total:,} readings")
        naive = f"“as the last value”: {fmean(board.naive):.2f}"
        table.add_row("off by", f"[bold]{fmean(board.errors):.2f}[/] on average; {naive}")
        table.add_row("throughput", f"[bold]{traffic.fast_rate:,.0f}[/] answers/s at full speed")
        latency = f"{median(board.latencies[:_WATCHED]) * 1000:.1f} ms"
        table.add_row("latency", f"{latency}, MQTT to MQTT (median at {_PER_SECOND} readings/s)")
        self._console.print()
        self._console.print(table)


class _Traffic:
    """The stations: each a client of its own, with many questions at a time."""

    def __init__(self, stack: MqttStack, board: Board) -> None:
        self.board = board
        self.fast_rate = 0.0
        self._stack = stack
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def run(self, refresh: Callable[[], None]) -> None:
        """Ask until all is answered.

        Raises:
            PenstockError: a question has no answer.
        """
        from penstock.streams.mqtt import Client

        async with AsyncExitStack() as stack:
            clients = {name: await stack.enter_async_context(Client(self._stack.client(name))) for name in STATIONS}
            shown = asyncio.create_task(_again_and_again(refresh))
            stack.callback(shown.cancel)
            asked = questions(self.board.scale)
            for question in islice(asked, min(_WATCHED, self.board.total)):
                await asyncio.gather(self._ask(clients, question), asyncio.sleep(1 / _PER_SECOND))
            left, started = self.board.total - len(self.board.errors), time.perf_counter()
            async with asyncio.TaskGroup() as tasks:
                for question in islice(asked, left):
                    await self._room.acquire()
                    asking = tasks.create_task(self._ask(clients, question))
                    asking.add_done_callback(lambda _: self._room.release())
            self.fast_rate = left / (time.perf_counter() - started)
        refresh()

    async def _ask(self, clients: dict[str, Client], question: Question) -> None:
        reply = await clients[question.station].ask(question.payload())
        if reply.error:
            raise SetupError(f"the worker answered {reply.error}: {reply.message}")
        self.board.add(question, json.loads(reply.payload)[MODEL], reply.seconds)


async def _again_and_again(refresh: Callable[[], None]) -> None:
    while True:
        refresh()
        await asyncio.sleep(_REFRESH)
