"""Batches of events from a Faust stream; whoever works on them says when they are done.

Faust's own ``take`` acknowledges a batch in a ``finally``, so also where the agent raised; ``noack_take`` leaves
that out, but waits its full time for each batch that is not full. Both pay for each event what is paid here for
each batch. So the queue behind the stream is read directly, with the two things that Faust's iterator does beside:

- an event from before a rebalance is dropped (it will be read again, here or by another worker), and so is one
  that came behind a batch that was given back;
- an event that is worked on is tracked, so that a rebalance and a stop wait for it.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

from .records import Record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .spec import Batch


async def batches(app: Any, stream: Any, batch: Batch) -> AsyncIterator[list[Any]]:
    """Lists of at most ``batch.records`` events, each tracked until it is finished or given back."""
    queue = stream.channel.queue
    while (events := await _gathered(queue, batch)) is not None:
        if queue.qsize() <= queue.maxsize // 2:
            app.drained.set()
        events = [event for event in events if _is_current(app, event.message)]
        if events:
            app.consumer.unacked.update(event.message for event in events)
            yield events


async def _gathered(queue: Any, batch: Batch) -> list[Any] | None:
    """What the queue has; None at its end, where what was taken from it will be read again."""
    try:
        events = [await queue.get()]
        _take_what_is_there(queue, events, batch.records)
        if batch.wait and len(events) < batch.records:
            await _take_what_comes(queue, events, batch)
    except StopAsyncIteration:  # what Faust throws into a queue that nothing more will come through
        return None
    return events


def _take_what_is_there(queue: Any, events: list[Any], most: int) -> None:
    while len(events) < most and not queue.empty():
        events.append(queue.get_nowait())


async def _take_what_comes(queue: Any, events: list[Any], batch: Batch) -> None:
    ends = monotonic() + batch.wait
    while len(events) < batch.records and (left := ends - monotonic()) > 0:
        try:
            async with asyncio.timeout(left):
                events.append(await queue.get())
        except TimeoutError:
            return
        _take_what_is_there(queue, events, batch.records)


def _is_current(app: Any, message: Any) -> bool:
    generation = message.generation_id
    return bool(app.flow_control.is_active()) and generation == app.consumer_generation_id != app.given_up


async def finish(app: Any, events: list[Any]) -> None:
    """Step 6: let the offsets move past ``events``."""
    await app.consumer.commit_through({event.message.tp: event.message.offset for event in events})
    app.consumer.unacked.difference_update(event.message for event in events)


def give_back(app: Any, events: list[Any]) -> None:
    """Nobody works on ``events`` any more: a rebalance or stop need not wait, and their offsets stay.

    What has come behind them must not be worked on either, or its offsets would pass theirs: from here on events of
    this generation of the group are dropped. The next one starts from the offsets.
    """
    app.given_up = events[0].message.generation_id
    app.consumer.unacked.difference_update(event.message for event in events)


def record_of(event: Any) -> Record:
    """The record of an event, byte for byte."""
    message = event.message
    return Record(
        message.topic,
        message.partition,
        message.offset,
        round((message.timestamp or 0.0) * 1000),
        message.key,
        message.value,
        list(message.headers or ()),
    )
