"""The demo's traffic: images out on one topic, predictions back from the other, each matched by its key."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer  # type: ignore[import-untyped]

from penstock.proto import SetupError

from .show import Prediction, Scoreboard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from .digits import Digits

SOURCE, SINK = "digits", "digits-predictions"

# The first images come slowly enough to be looked at; the rest as fast as the stream takes them.
WATCHED, PER_SECOND = 150, 30
# Records on their way at once in the fast part: enough to fill batches, few enough that latency stays a latency.
_IN_FLIGHT = 1024
_SILENCE = 60.0
_REFRESH = 0.1


class Traffic:
    """Sends ``total`` records and collects their answers on ``board``."""

    def __init__(self, address: str, digits: Digits, total: int) -> None:
        self.board = Scoreboard(total)
        self.fast_rate = 0.0
        self.watched_latency = 0.0
        self._address = address
        self._digits = digits
        self._total = total
        self._sent: dict[int, float] = {}
        self._room = asyncio.Semaphore(_IN_FLIGHT)
        # Earlier runs on a broker that was kept left answers on the topic; the run's own keys tell them apart.
        self._run = f"{time.time_ns():x}"

    async def run(self, refresh: Callable[[], None]) -> None:
        """Send and receive until every record is answered.

        Raises:
            SetupError: no answer for a minute.
        """
        async with AIOKafkaConsumer(SINK, bootstrap_servers=self._address, auto_offset_reset="latest") as consumer:
            await consumer.seek_to_end()
            tasks = [
                asyncio.ensure_future(self._send()),
                asyncio.ensure_future(self._receive(consumer)),
                asyncio.ensure_future(self._refresh(refresh)),
            ]
            try:
                done, _ = await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        refresh()

    async def _send(self) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self._address, linger_ms=5) as producer:
            async for number in self._paced():
                image = self._digits.images[number % len(self._digits.images)]
                value = json.dumps([image.astype(int).tolist()]).encode()
                self._sent[number] = time.perf_counter()
                await producer.send(SOURCE, value, key=f"{self._run}-{number}".encode())

    async def _paced(self) -> AsyncIterator[int]:
        for number in range(self._total):
            if number < WATCHED:
                await asyncio.sleep(1 / PER_SECOND)
            await self._room.acquire()
            yield number

    async def _receive(self, consumer: AIOKafkaConsumer) -> None:
        started, before = 0.0, 0
        while self.board.answered < self._total:
            try:
                batches = await asyncio.wait_for(consumer.getmany(timeout_ms=500), _SILENCE)
            except TimeoutError:
                batches = {}
            now = time.perf_counter()
            self._check_silence(now)
            for record in (record for batch in batches.values() for record in batch):
                run, _, number = record.key.decode().partition("-")
                if run == self._run:
                    self._count(int(number), record.value, now)
            if not started and self.board.answered >= WATCHED:
                started, before = now, self.board.answered
                self.watched_latency = self.board.median_latency
            if started and now > started:
                self.fast_rate = (self.board.answered - before) / (now - started)

    def _check_silence(self, now: float) -> None:
        if self._sent and now - min(self._sent.values()) > _SILENCE:
            raise SetupError(f"no prediction came back within {_SILENCE:.0f} seconds; look into the stream's log")

    def _count(self, number: int, value: bytes, now: float) -> None:
        sent = self._sent.pop(number, None)
        if sent is None:
            return
        self._room.release()
        digit, *probabilities = json.loads(value)[0]
        index = number % len(self._digits.images)
        image, label = self._digits.images[index], int(self._digits.labels[index])
        self.board.add(Prediction(image, label, int(digit), float(np.max(probabilities)), now - sent))

    async def _refresh(self, refresh: Callable[[], None]) -> None:
        while True:
            refresh()
            await asyncio.sleep(_REFRESH)
