"""The queue in front of the model, with models that are plain functions."""

from __future__ import annotations

import asyncio
import random
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from penstock.proto import DeadlineExceeded, ModelFailure, ModelInputError, Overloaded, Unavailable
from penstock.serving import Settings
from penstock.serving.batcher import Batcher, attempt
from penstock.serving.metrics import Metrics
from penstock.serving.models import Answer, Work
from penstock.serving.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LONG = 60.0


class Echo:
    """Answers each work with its own value; fails where one is negative; waits for `go` where it is closed."""

    def __init__(self) -> None:
        self.runs: list[list[Any]] = []
        self.threads: set[int] = set()
        self.go = threading.Event()
        self.go.set()
        self.started = threading.Event()

    def __call__(self, works: Sequence[Work]) -> list[Answer]:
        self.started.set()
        assert self.go.wait(LONG)
        values = [work.value for work in works]
        self.runs.append(values)
        self.threads.add(threading.get_ident())
        bad = [value for value in values if value < 0]
        if bad:
            raise ModelInputError(f"{bad} in {len(values)}")
        return [Answer(value) for value in values]

    async def is_busy(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.started.wait, LONG)


Make = "Callable[..., tuple[Echo, Batcher]]"


@pytest.fixture
def make() -> Iterator[Callable[..., tuple[Echo, Batcher]]]:
    workers: list[Worker] = []
    echoes: list[Echo] = []

    def build(*, inline: bool = False, **settings: Any) -> tuple[Echo, Batcher]:
        echo, worker = Echo(), Worker("test")
        workers.append(worker)
        echoes.append(echo)
        return echo, Batcher(echo, Settings(Path("m"), **settings), worker, Metrics("m"), inline=inline)

    yield build
    for echo in echoes:
        echo.go.set()
    for worker in workers:
        worker.stop()


def one(value: float, key: Any = "k", rows: int = 1) -> Work:
    return Work(value, key, rows, rows)


async def test_a_lone_request_does_not_wait(make: Any) -> None:
    echo, batcher = make()
    assert (await batcher.submit(one(1), LONG)).value == 1
    assert echo.runs == [[1]]


async def test_what_arrives_in_one_turn_goes_in_one_run(make: Any) -> None:
    echo, batcher = make()
    answers = await asyncio.gather(*(batcher.submit(one(n), LONG) for n in range(5)))
    assert [answer.value for answer in answers] == [0, 1, 2, 3, 4]
    assert echo.runs == [[0, 1, 2, 3, 4]]


async def test_what_arrives_while_the_model_is_busy_is_gathered(make: Any) -> None:
    echo, batcher = make()
    echo.go.clear()
    first = batcher.submit(one(0), LONG)
    await echo.is_busy()
    later = []
    for n in range(1, 4):
        later.append(batcher.submit(one(n), LONG))
        await asyncio.sleep(0)
    echo.go.set()
    await asyncio.gather(first, *later)
    assert echo.runs == [[0], [1, 2, 3]]


async def test_a_run_has_at_most_max_batch_rows(make: Any) -> None:
    echo, batcher = make(max_batch=10)
    sizes = [4, 4, 4, 30, 1, 1]
    await asyncio.gather(*(batcher.submit(one(n, rows=rows), LONG) for n, rows in enumerate(sizes)))
    assert echo.runs == [[0, 1], [2], [3], [4, 5]]


async def test_only_equal_keys_share_a_run_and_none_goes_alone(make: Any) -> None:
    echo, batcher = make()
    keys = ["a", "b", None, "a", None, "b"]
    answers = await asyncio.gather(*(batcher.submit(one(n, key), LONG) for n, key in enumerate(keys)))
    assert [answer.value for answer in answers] == list(range(6))
    assert echo.runs == [[0, 3], [1, 5], [2], [4]]


async def test_what_goes_alone_does_not_look_at_who_is_behind_it(make: Any) -> None:
    echo, batcher = make()
    askers = [Counting() for _ in range(300)]
    for asker in askers:
        batcher.submit_for(asker, one(1, key=None), LONG)
    assert (await batcher.submit(one(2, key=None), LONG)).value == 2
    assert len(echo.runs) == 301
    assert sum(asker.looks for asker in askers) <= 3 * 300


async def test_a_failing_request_fails_alone(make: Any) -> None:
    echo, batcher = make()
    values = [1, 2, -3, 4, 5, -6, 7]
    outcomes = await asyncio.gather(*(batcher.submit(one(n), LONG) for n in values), return_exceptions=True)
    for value, outcome in zip(values, outcomes, strict=True):
        if value < 0:
            assert isinstance(outcome, ModelInputError)
            assert outcome.message == f"[{value}] in 1"
            assert outcome.__context__ is None, "not of the runs in which it had company"
        else:
            assert not isinstance(outcome, BaseException)
            assert outcome.value == value
    assert len(echo.runs) < 2 * len(values)


def test_a_model_with_a_missing_answer_is_not_believed() -> None:
    def forgetful(works: Sequence[Work]) -> list[Answer]:
        return [Answer(work.value) for work in works[1:]] if len(works) > 1 else [Answer(works[0].value)]

    outcomes = attempt(forgetful, [one(n) for n in range(5)])
    assert [outcome.value for outcome in outcomes] == [0, 1, 2, 3, 4]  # type: ignore[union-attr]


class Broken:
    """An asker that fails when it is told."""

    def __init__(self) -> None:
        self.told = 0

    def done(self) -> bool:
        return bool(self.told)

    def set_result(self, _: object) -> None:
        self.told += 1
        raise KeyError

    set_exception = set_result


async def test_whoever_cannot_be_told_keeps_nobody_from_it(make: Any) -> None:
    echo, batcher = make()
    askers = [Broken(), Broken(), Broken()]

    def between(first: Broken, value: float, seconds: float) -> asyncio.Future[Answer]:
        batcher.submit_for(first, one(1), seconds)
        return batcher.submit(one(value), seconds)  # type: ignore[no-any-return]

    async with asyncio.timeout(LONG):
        assert (await between(askers[0], 2, LONG)).value == 2
        echo.go.clear()
        late = between(askers[1], 3, 0.01)
        with pytest.raises(DeadlineExceeded):
            await late
        stopped = between(askers[2], 4, LONG)
        await batcher.stop(0)
        with pytest.raises(Unavailable):
            await stopped
    assert [asker.told for asker in askers] == [1, 1, 1]


async def test_a_cancelled_request_is_not_run(make: Any) -> None:
    echo, batcher = make()
    echo.go.clear()
    first = batcher.submit(one(0), LONG)
    await echo.is_busy()
    waiting = [batcher.submit(one(n), LONG) for n in (1, 2, 3)]
    waiting[1].cancel()
    echo.go.set()
    await asyncio.gather(first, waiting[0], waiting[2])
    assert echo.runs == [[0], [1, 3]]
    assert batcher.rows == 0


async def test_a_full_queue_refuses_and_cancelled_requests_leave_it(make: Any) -> None:
    echo, batcher = make(max_queue=10)
    echo.go.clear()
    running = batcher.submit(one(0), LONG)
    await echo.is_busy()
    waiting = [batcher.submit(one(n, rows=5), LONG) for n in (1, 2)]
    with pytest.raises(Overloaded, match="10 rows wait"):
        batcher.submit(one(3), LONG)
    waiting[0].cancel()
    kept = batcher.submit(one(4, rows=5), LONG)
    echo.go.set()
    await asyncio.gather(running, waiting[1], kept)
    large = batcher.submit(one(5, rows=1000), LONG)
    assert (await large).value == 5


class Counting:
    """Waits, and counts how often it is asked whether it does."""

    looks = 0
    is_done = False

    def done(self) -> bool:
        self.looks += 1
        return self.is_done

    def set_result(self, _: object) -> None:
        self.is_done = True

    set_exception = set_result


async def test_a_refusal_does_not_look_at_the_whole_queue(make: Any) -> None:
    echo, batcher = make(max_queue=1000)
    echo.go.clear()
    batcher.submit(one(0), LONG)
    await echo.is_busy()
    asker = Counting()
    for _ in range(1000):
        batcher.submit_for(asker, one(1), LONG)
    for _ in range(1000):
        with pytest.raises(Overloaded):
            batcher.submit(one(2), LONG)
    assert asker.looks <= 100 * 1000
    asker.is_done = True
    room = 0
    while not room:  # some are refused before it is seen that nobody waits for the others
        with suppress(Overloaded):
            batcher.submit(one(3), LONG)
            room = batcher.rows
    assert room == 1


async def test_a_late_answer_is_a_deadline_error_for_running_and_waiting(make: Any) -> None:
    echo, batcher = make()
    echo.go.clear()
    running = batcher.submit(one(0), 0.5)  # so long may the thread take to begin: what is late before is not run
    await echo.is_busy()
    late, patient = batcher.submit(one(1), 0.01), batcher.submit(one(2), LONG)
    for future, seconds in ((running, "0.5"), (late, "0.01")):
        with pytest.raises(DeadlineExceeded, match=f"within {seconds} s"):
            await future
    echo.go.set()
    assert (await patient).value == 2
    assert echo.runs == [[0], [2]]


async def test_those_who_run_out_of_time_are_told_some_at_a_time(make: Any) -> None:
    echo, batcher = make()
    echo.go.clear()
    running = batcher.submit(one(0), LONG)
    await echo.is_busy()
    askers = [Counting() for _ in range(300)]
    for number, asker in enumerate(askers):
        batcher.submit_for(asker, one(1), 0.1 + number * 0.0005)  # all within 150 ms
    async with asyncio.timeout(LONG):
        while not all(asker.is_done for asker in askers):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert sum(asker.looks for asker in askers) <= 20 * 300
    echo.go.set()
    await running


async def test_batch_wait_gathers_for_a_while_or_until_the_batch_is_full(make: Any) -> None:
    echo, batcher = make(batch_wait=0.05, max_batch=4)
    first = batcher.submit(one(0), LONG)
    await asyncio.sleep(0)
    second = batcher.submit(one(1), LONG)
    await asyncio.gather(first, second)
    assert echo.runs == [[0, 1]]
    echo, batcher = make(batch_wait=LONG, max_batch=4)
    await asyncio.wait_for(asyncio.gather(*(batcher.submit(one(n), LONG) for n in range(4))), LONG / 2)
    assert echo.runs == [[0, 1, 2, 3]]


async def test_short_runs_move_into_the_event_loop(make: Any) -> None:
    echo, batcher = make(inline=True)
    for n in range(3):
        await batcher.submit(one(n), LONG)
    assert threading.get_ident() in echo.threads
    assert len(echo.threads) == 2


async def test_foreign_code_never_runs_in_the_event_loop(make: Any) -> None:
    echo, batcher = make(inline=False)
    for n in range(5):
        await batcher.submit(one(n), LONG)
    assert threading.get_ident() not in echo.threads


async def test_a_stop_waits_for_what_is_in_flight(make: Any) -> None:
    echo, batcher = make()
    echo.go.clear()
    first = batcher.submit(one(0), LONG)
    await echo.is_busy()
    second = batcher.submit(one(1), LONG)
    stopping = asyncio.create_task(batcher.stop(LONG))
    await asyncio.sleep(0)
    echo.go.set()
    await stopping
    assert (first.result().value, second.result().value) == (0, 1)


async def test_a_stop_that_takes_too_long_tells_the_callers(make: Any) -> None:
    echo, batcher = make()
    echo.go.clear()
    stuck = batcher.submit(one(0), LONG)
    await echo.is_busy()
    await batcher.stop(0.01)
    with pytest.raises(Unavailable, match="stopped before"):
        await stuck


@pytest.mark.parametrize("inline", [True, False])
async def test_hundreds_of_callers_each_get_their_own_answer(make: Any, *, inline: bool) -> None:
    """Some cancel, some fail, some are late to come; nobody gets an answer that is not theirs."""
    echo, batcher = make(inline=inline, max_batch=16)
    dice = random.Random(5)
    plans = [dice.choice(["ask", "ask", "ask", "cancel", "fail"]) for _ in range(600)]

    async def caller(number: int, plan: str) -> Any:
        for _ in range(dice.randrange(4)):
            await asyncio.sleep(0)
        value = -number if plan == "fail" else number
        future = batcher.submit(one(value, key=number % 3, rows=1 + number % 2), LONG)
        if plan == "cancel":
            await asyncio.sleep(0)
            if future.cancel():
                return None
        return (await future).value

    numbers = range(1, len(plans) + 1)
    outcomes = await asyncio.gather(
        *(caller(number, plan) for number, plan in zip(numbers, plans, strict=True)), return_exceptions=True
    )
    for number, plan, outcome in zip(numbers, plans, outcomes, strict=True):
        if plan == "fail":
            assert isinstance(outcome, ModelInputError)
            assert outcome.message == f"[{-number}] in 1"
        else:
            assert outcome == number or (plan == "cancel" and outcome is None)
    assert max(len(run) for run in echo.runs) > 1
    assert all(len({abs(value) % 3 for value in run}) == 1 for run in echo.runs)
    assert batcher.rows == 0


async def test_what_is_not_ours_is_logged_under_the_id_that_the_caller_gets(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    echo, batcher = make()
    with pytest.raises(ModelFailure) as caught:
        await batcher.submit(one("text"), LONG)  # type: ignore[arg-type]
    assert "not supported between" not in caught.value.message
    assert caught.value.message.rsplit(" ", 1)[1] in caplog.text
    assert (await batcher.submit(one(1), LONG)).value == 1
    assert echo.runs[-1] == [1]
