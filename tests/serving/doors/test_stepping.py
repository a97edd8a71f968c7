"""Coroutines run without a task: the same results, in the same order, and cancels that arrive wherever it stands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from penstock.serving.doors.stepping import Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def _in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_what_does_not_wait_is_done_at_once() -> None:
    async def test() -> None:
        seen: list[str] = []

        async def work() -> None:
            seen.append("ran")

        assert Steps(work()).done
        assert seen == ["ran"]

    _in_loop(test)


def test_goes_on_with_the_result_of_each_wait() -> None:
    async def test() -> None:
        first, second = asyncio.Future[int](), asyncio.Future[int]()
        seen: list[int] = []

        async def work() -> None:
            seen.append(await first)
            await asyncio.sleep(0)
            seen.append(await second)

        steps = Steps(work())
        assert not steps.done
        second.set_result(2)  # before it is waited for
        first.set_result(1)
        for _ in range(5):
            await asyncio.sleep(0)
        assert seen == [1, 2]

    _in_loop(test)


def test_an_error_of_what_is_awaited_is_raised_where_it_waits() -> None:
    async def test() -> None:
        future = asyncio.Future[int]()
        seen: list[str] = []

        async def work() -> None:
            try:
                await future
            except ValueError as error:
                seen.append(str(error))

        Steps(work())
        future.set_exception(ValueError("no"))
        await asyncio.sleep(0)
        assert seen == ["no"]

    _in_loop(test)


@pytest.mark.parametrize("moment", ["waiting", "answered", "sleeping", "running"])
def test_a_cancel_arrives_wherever_it_stands(moment: str) -> None:
    async def test() -> None:
        future = asyncio.Future[int]()
        seen: list[str] = []
        steps: Steps

        async def work() -> None:
            try:
                await asyncio.sleep(0)
                if moment == "running":
                    steps.cancel()
                await future
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise
            finally:
                seen.append("cleaned")

        steps = Steps(work())
        if moment != "sleeping":
            await asyncio.sleep(0)
        if moment == "answered":
            future.set_result(1)
        if moment != "running":
            steps.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert seen == ["cancelled", "cleaned"]
        assert steps.done
        assert future.cancelled() is (moment in ("waiting", "running"))
        steps.cancel()  # too late, and harmless

    _in_loop(test)


def test_a_cancel_that_is_held_up_does_not_end_it() -> None:
    async def test() -> None:
        first, second = asyncio.Future[int](), asyncio.Future[int]()
        seen: list[int] = []

        async def work() -> None:
            try:
                await first
            except asyncio.CancelledError:
                seen.append(await second)

        steps = Steps(work())
        steps.cancel()
        await asyncio.sleep(0)
        second.set_result(2)
        await asyncio.sleep(0)
        assert seen == [2]
        assert steps.done

    _in_loop(test)


def test_an_exception_that_nobody_caught_is_told_to_the_loop() -> None:
    async def test() -> None:
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

        async def work() -> None:
            raise ValueError("no")

        assert Steps(work()).done
        assert [str(one["exception"]) for one in told] == ["no"]

    _in_loop(test)
