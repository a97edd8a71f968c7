"""What a compressed body may cost: how far it is inflated, in which steps, and how long others have between them."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest

from penstock.serving.doors import inflating
from penstock.serving.doors.inflating import WINDOWS, Inflating, NotInflatedError, Why

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
        (gzip.compress(bytes(MOST + 1)), Why.TOO_LARGE),
        (gzip.compress(bytes(100 * MOST)), Why.TOO_LARGE),
    ],
    ids=["none", "cut", "without its end", "broken", "one too many", "much too large"],
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
