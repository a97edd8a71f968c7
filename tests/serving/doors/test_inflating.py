"""What a compressed body may cost: how far it is inflated, in which steps, and how long others have between them."""

from __future__ import annotations

import asyncio
import gzip
import random
import threading
import zlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from penstock.serving.doors import inflating
from penstock.serving.doors.inflating import WINDOWS, Inflating, NotInflatedError, Why

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MOST = 4 << 20
GZIP = WINDOWS[b"gzip"]


def noise(size: int) -> bytes:
    return random.Random(1).randbytes(size)


@pytest.fixture
def rests() -> list[float]:
    return []


@pytest.fixture
def made(rests: list[float]) -> Inflating:
    return Inflating(MOST, rests.append)


@pytest.mark.parametrize("size", [0, 1, 1 << 17, (1 << 17) + 1, 1_000_003, MOST])
@pytest.mark.parametrize("make", [bytes, noise], ids=["zeros", "noise"])
async def test_what_comes_out_went_in(made: Inflating, size: int, make: type[bytes]) -> None:
    body = make(size)
    assert await made.inflated(gzip.compress(body), GZIP) == body
    assert await made.inflated(zlib.compress(body), WINDOWS[b"deflate"]) == body


async def test_others_go_first_after_each_step(made: Inflating, rests: list[float]) -> None:
    await made.inflated(gzip.compress(noise(1 << 20)), GZIP)
    assert len(rests) >= ((1 << 20) - (1 << 17)) >> 16
    assert not any(rests)


async def test_others_have_most_of_the_time_where_little_becomes_much(made: Inflating, rests: list[float]) -> None:
    await made.inflated(gzip.compress(bytes(MOST)), GZIP)
    assert len(rests) >= (MOST - (1 << 17)) >> 16
    assert sum(rest > 0 for rest in rests) > len(rests) // 2


async def test_what_is_small_is_done_at_once(made: Inflating, rests: list[float]) -> None:
    await made.inflated(gzip.compress(noise(100_000)), GZIP)
    assert rests == []


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"none", Why.BROKEN),
        (gzip.compress(noise(500_000))[:300_000], Why.CUT_OFF),
        (gzip.compress(noise(500_000))[:-1], Why.CUT_OFF),
        (gzip.compress(noise(500_000))[:200_000] + bytes(300_000), Why.BROKEN),
        (gzip.compress(b"few") + b"x", Why.GOES_ON),
        (gzip.compress(noise(500_000)) + b"x", Why.GOES_ON),
        (gzip.compress(noise(500_000)) + bytes(100_000), Why.GOES_ON),
        (gzip.compress(bytes(MOST + 1)), Why.TOO_LARGE),
        (gzip.compress(bytes(100 * MOST)), Why.TOO_LARGE),
    ],
    ids=[
        "none",
        "cut",
        "without its end",
        "broken",
        "more",
        "a large one and more",
        "a large one and much more",
        "one too many",
        "much too large",
    ],
)
async def test_what_is_not_inflated(made: Inflating, body: bytes, why: Why, rests: list[float]) -> None:
    with pytest.raises(NotInflatedError) as failed:
        await made.inflated(body, GZIP)
    assert failed.value.why is why
    assert len(rests) <= (MOST >> 16) + 1


async def test_not_too_many_wait(made: Inflating, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflating, "_MOST_WAITING", 1_000_000)
    with pytest.raises(NotInflatedError) as failed:
        await made.inflated(gzip.compress(noise(1_300_000)), GZIP)
    assert failed.value.why is Why.TOO_MANY
    await made.inflated(gzip.compress(noise(900_000)), GZIP)
    await made.inflated(gzip.compress(noise(900_000)), GZIP)


class Bomb:
    """One that is under way, in the middle of what others have time for."""

    def __init__(self) -> None:
        self.rests = 0
        self._resting, self._over = threading.Event(), threading.Event()
        self.inflating = Inflating(MOST, self._rest)

    def _rest(self, seconds: float) -> None:
        if seconds:
            self.rests += 1
            self._resting.set()
            self._over.wait(60)

    @asynccontextmanager
    async def under_way(self) -> AsyncIterator[asyncio.Task[bytes]]:
        task = asyncio.create_task(self.inflating.inflated(gzip.compress(bytes(MOST)), GZIP))
        try:
            async with asyncio.timeout(60):
                await asyncio.to_thread(self._resting.wait, 60)
                yield task
        finally:
            self._over.set()


async def test_others_do_not_wait_for_little_that_becomes_much() -> None:
    bomb = Bomb()
    body = noise(1 << 20)
    async with bomb.under_way() as task:
        assert await bomb.inflating.inflated(gzip.compress(body), GZIP) == body
        assert not task.done()
    assert await task == bytes(MOST)


async def test_what_nobody_wants_any_more_is_not_gone_on_with() -> None:
    bomb = Bomb()
    async with bomb.under_way() as task:
        task.cancel()
        await asyncio.wait([task])
    assert await bomb.inflating.inflated(gzip.compress(bytes(MOST)), GZIP) == bytes(MOST)
    assert 1 < bomb.rests <= 1 + (MOST >> 16)  # once for the one, before it was given up


async def test_what_those_who_wait_have_become_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflating, "_MOST_WAITING", 1_000_000)
    bomb = Bomb()
    small = gzip.compress(bytes(1 << 20))
    assert len(small) < 2000
    async with bomb.under_way():
        others = [asyncio.create_task(bomb.inflating.inflated(small, GZIP)) for _ in range(10)]
        await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
    answers = await asyncio.gather(*others, return_exceptions=True)
    refused = [one for one in answers if isinstance(one, NotInflatedError)]
    assert {one.why for one in refused} == {Why.TOO_MANY}
    assert answers.count(bytes(1 << 20)) == len(answers) - len(refused) > 0
