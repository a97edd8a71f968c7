"""The Faust app of a stream: its settings, each with the reason, and the agent that works on batches."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

import faust

from .connection import faust_broker, faust_credentials
from .faust_transport import Transport
from .gathering import batches, finish, give_back
from .patience import Abandoned

if TYPE_CHECKING:
    from pathlib import Path

    from .spec import Stream

_log = logging.getLogger("penstock.streams")

# Records that wait in memory, in batches: one is worked on, the others keep it supplied.
_BUFFERED_BATCHES: Final = 4
# Heartbeats in one session time-out: Kafka's own advice is at least three.
_HEARTBEATS: Final = 4


class Work(Protocol):
    """What is done with a batch, and what is told when that is not possible."""

    async def batch(self, app: Any, events: list[Any]) -> None:
        """Process and deliver; returns once the broker has everything."""

    def failed(self, error: BaseException) -> None:
        """The worker cannot go on."""

    def hurry(self, *, on: bool) -> None:
        """A rebalance begins or has ended."""


class StreamApp(faust.App):
    """Faust's app, which tells when a rebalance begins: it must not wait for a service that is away.

    Attributes:
        work: what is done with batches.
        main_loop: where the agent runs; the consumer has a thread and a loop of its own.
        source_queue: the records that wait for the agent; None before it has started.
        drained: set whenever half of that queue is free again.
        given_up: the generation of the group in which a batch was given back, whose records are not worked on.
    """

    work: Work
    main_loop: asyncio.AbstractEventLoop
    source_queue: Any = None
    drained: asyncio.Event
    given_up: int | None = None

    def on_rebalance_start(self) -> None:
        """Called in the thread of the consumer."""
        super().on_rebalance_start()
        self.main_loop.call_soon_threadsafe(lambda: self.work.hurry(on=True))

    def on_rebalance_end(self) -> None:
        """Called in the main thread."""
        super().on_rebalance_end()
        self.work.hurry(on=False)


def make_app(stream: Stream, work: Work, loop: asyncio.AbstractEventLoop, folder: Path) -> StreamApp:
    """The app, ready to be started.

    Args:
        stream: its spec.
        work: what is done with each batch.
        loop: the loop that it will run in.
        folder: for files that Faust insists on; nothing in it is needed again.
    """
    kafka = stream.kafka
    app = StreamApp(
        kafka.group,
        broker=faust_broker(kafka),
        broker_credentials=faust_credentials(kafka),
        broker_session_timeout=kafka.session_timeout,
        broker_heartbeat_interval=kafka.session_timeout / _HEARTBEATS,
        consumer_auto_offset_reset=stream.source.start,
        stream_buffer_maxsize=stream.batch.records * _BUFFERED_BATCHES,
        store="memory://",
        datadir=str(folder),
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
    )
    app.work, app.main_loop, app.drained = work, loop, asyncio.Event()
    app.transport = Transport(app.conf.broker_consumer, app)
    source = app.topic(
        stream.source.topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )

    async def agent(events: Any) -> None:
        await _run(app, events, stream)

    app.agent(source, name=stream.name)(agent)
    return app


async def _run(app: StreamApp, events: Any, stream: Stream) -> None:
    """The six steps of docs/streams.md, *At least once*; `Work.batch` has steps 2 to 5."""
    app.source_queue = events.channel.queue
    async for batch in batches(app, events, stream.batch):  # step 1: take
        try:
            await app.work.batch(app, batch)
            await finish(app, batch)  # step 6: let the offsets move
        except Abandoned:
            give_back(app, batch)
        except Exception as error:  # Faust would restart the agent behind this batch, and so pass over it
            give_back(app, batch)
            app.work.failed(error)
            return
