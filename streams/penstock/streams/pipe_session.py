"""One membership of a pipe in its group: from joining to leaving. The numbered steps are those of the docs.

1. **fetch** a batch of records;
2. **read** them; those that cannot be read become dead letters;
3. **ask** the model;
4. **write** results and dead letters, strictly in the order of fetching;
5. **wait** until all replicas have acknowledged all of them;
6. **commit** the offsets: with ``exactly_once`` in the transaction that also holds what was written.

Several batches are in steps 1 to 3 while one group of them is in 4 to 6: what becomes ready meanwhile is the next
group. See docs/at-least-once.md and docs/exactly-once.md for what follows where a step is cut off.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, TopicPartition

from penstock.proto import LimitError

from .aside import aside
from .pipe_errors import Rejoin, raised, refusal
from .pipe_intake import Intake
from .pipe_outage import Outage
from .pipe_outlet import Outlet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .metrics import Metrics
    from .pipe_intake import Batch, Epoch
    from .pipe_outlet import Failure
    from .processing import Processor
    from .records import Outgoing
    from .spec import Stream

# A busy worker closes a transaction after so long, an idle one at once: long enough to make the commit's cost small.
_LONGEST_TRANSACTION: Final = 0.1
_MOST_MESSAGES: Final = 20_000  # in one transaction
_OPEN_WITHIN: Final = 60.0  # seconds; then another producer is tried, and the log says so
_LEAVE_WITHIN: Final = 5.0
_GRACE: Final = 30.0  # beyond the broker's bound for a transaction: for the broker's own sweep, and a busy machine
_WRITE_WITHIN: Final = 10.0  # after a stop, for the transaction in hand
# Batches processed at once: a service works on one while another is on its way; a model in this process gains little.
_AT_ONCE: Final = 4
_AT_ONCE_INSIDE: Final = 2


class _InHand:
    """A batch and its outcome to be."""

    __slots__ = ("batch", "outcome", "started")

    def __init__(self, batch: Batch, outcome: asyncio.Task[list[Outgoing]]) -> None:
        self.batch = batch
        self.outcome = outcome
        self.started = perf_counter()


class Session:
    """One membership. `run` returns after `stop`, and raises `Rejoin` where another membership may do better."""

    def __init__(self, stream: Stream, processor: Processor, metrics: Metrics, ready: Callable[[], None]) -> None:
        self._stream = stream
        self._processor = processor
        self._metrics = metrics
        self._ready = ready
        self._loop = asyncio.get_running_loop()
        self._outage = Outage(stream.kafka.bootstrap)
        self._turns = asyncio.Semaphore(_AT_ONCE if stream.service.address else _AT_ONCE_INSIDE)
        self._in_hand: deque[_InHand] = deque()
        self._changed = asyncio.Event()
        self._given_up = asyncio.Event()
        self._epoch: Epoch | None = None
        self._next: dict[int, int] = {}
        self._stopping = self._intake_over = self._leaving = False
        self._error: BaseException | None = None
        self._outlet = Outlet(stream)
        self._careful: Outlet | None = None
        self._intake = Intake(stream, _Posting(self._loop, self))

    async def run(self) -> None:
        """Work until `stop`.

        Raises:
            Rejoin: the membership is over.
            PenstockError: the stream cannot go on.
        """
        try:
            await self._open_in_time()
            self._intake.start()
            try:
                await self._deliver()
            finally:
                await self._leave()
        finally:
            for outlet in (self._outlet, self._careful):
                if outlet is not None:
                    await outlet.close()

    async def _open_in_time(self) -> None:
        """A producer that does not get ready though its broker is there is replaced by another one."""
        try:
            async with asyncio.timeout(_OPEN_WITHIN):
                await self._outlet.open()
        except TimeoutError:
            raise Rejoin(f"the producer was not ready after {_OPEN_WITHIN:g} s") from None

    def stop(self) -> None:
        """Write what has its answers, give back the rest, and leave."""
        self._stopping = True
        self._intake.close()
        self._loop.call_later(_WRITE_WITHIN, self._give_up)
        if not self._epoch:
            self._give_up()

    def _give_up(self) -> None:
        self._given_up.set()
        self._outlet.give_up()
        if self._careful is not None:
            self._careful.give_up()

    # What the intake tells, here in the event loop.

    def assigned(self, epoch: Epoch) -> None:
        """Partitions were assigned."""
        self._epoch = epoch
        self._next.clear()
        self._metrics.no_lag()
        self._ready()

    def revoked(self, epoch: Epoch) -> None:
        """They are about to be taken away."""
        epoch.is_over = True
        if self._leaving:
            epoch.settled.set()
        self._changed.set()

    def came(self, batch: Batch) -> None:
        """Step 1 is over."""
        if batch.epoch.is_over:
            self._intake.done(batch)
            return
        self._outage.over()
        self._metrics.records.inc(len(batch.records))
        task = self._loop.create_task(self._process(batch))
        task.add_done_callback(lambda _: self._changed.set())
        self._in_hand.append(_InHand(batch, task))
        self._changed.set()

    def ended(self, error: BaseException | None) -> None:
        """The intake reads no more."""
        self._intake_over = True
        self._error = error
        self._changed.set()

    def noticed(self, error: KafkaError) -> None:
        """Something that librdkafka gets over by itself."""
        self._outage.noticed(error)

    def watermarks(self, high: dict[int, int]) -> None:
        """The end of each partition."""
        for partition, end in high.items():
            if partition in self._next:
                self._metrics.lag(partition, max(0, end - self._next[partition]))

    # What is done with it.

    async def _process(self, batch: Batch) -> list[Outgoing]:
        async with self._turns:
            return await self._processor.process(batch.records)  # steps 2 and 3

    async def _deliver(self) -> None:
        while True:
            while not (self._is_head_done() or self._is_over()):
                self._changed.clear()
                await self._changed.wait()
            if self._error is None and self._is_head_done():
                await self._write_in_time()
                continue
            await self._drop()
            if self._intake_over:
                if self._error is not None:
                    raise self._error
                return

    def _is_head_done(self) -> bool:
        return bool(self._in_hand) and self._in_hand[0].outcome.done()

    def _is_over(self) -> bool:
        return self._intake_over or bool(self._epoch and self._epoch.is_over and not self._epoch.settled.is_set())

    async def _write_in_time(self) -> None:
        """A transaction that has outlived the broker's bound for it is dead, whatever is still waited for."""
        bound = 2 * self._stream.kafka.session_timeout + _GRACE if self._outlet.is_transactional else None
        try:
            async with asyncio.timeout(bound):
                await self._write_group()
        except TimeoutError:
            raise Rejoin(f"a transaction was not over after {bound:g} s") from None

    async def _write_group(self) -> None:
        """Steps 4 to 6 for all that is ready, and what becomes ready soon."""
        self._in_hand[0].outcome.result()
        outlet, group = self._outlet, list[_InHand]()
        messages: list[Outgoing] = []
        await outlet.begin()
        ends = monotonic() + _LONGEST_TRANSACTION
        while await self._next_is_ready(ends, len(messages)):
            in_hand = self._in_hand.popleft()
            group.append(in_hand)
            made = in_hand.outcome.result()
            messages += made
            await outlet.write(made)  # step 4
        failures = await outlet.acknowledged()  # step 5
        if failures:
            outlet = await self._write_again(messages, failures)
        await self._commit(outlet, group)  # step 6
        for in_hand in group:
            self._finished(in_hand)

    async def _next_is_ready(self, ends: float, messages: int) -> bool:
        """Whether another batch joins the group; it waits for one only where there is one in work."""
        while True:
            if self._is_head_done():
                return messages < _MOST_MESSAGES and self._in_hand[0].outcome.exception() is None
            left = ends - monotonic()
            if not self._in_hand or left <= 0 or self._is_over():
                return False
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()

    async def _commit(self, outlet: Outlet, group: list[_InHand]) -> None:
        last: dict[int, int] = {}
        for in_hand in group:
            for record in in_hand.batch.records:
                last[record.partition] = record.offset + 1
        topic = self._stream.source.topic
        offsets = [TopicPartition(topic, partition, offset) for partition, offset in last.items()]
        if outlet.is_transactional:
            await outlet.commit(offsets, group[0].batch.epoch.membership)
            self._metrics.transactions.inc()
        else:
            await self._commit_offsets(offsets)
        self._next |= last

    async def _commit_offsets(self, offsets: list[TopicPartition]) -> None:
        doing = "committing offsets"
        while True:
            error = await self._committed(offsets)
            if error is None:
                return
            if isinstance(error, Rejoin):
                raise error
            cause: KafkaError = error.args[0]
            if not cause.retriable():
                raise raised(cause, doing, self._stream.kafka)
            await asyncio.sleep(_LONGEST_TRANSACTION)

    async def _committed(self, offsets: list[TopicPartition]) -> BaseException | None:
        future: asyncio.Future[BaseException | None] = self._loop.create_future()

        def settle(error: BaseException | None) -> None:
            if not future.done():
                future.set_result(error)

        def told(error: BaseException | None) -> None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(settle, error)

        self._intake.commit(offsets, told)
        given_up = self._loop.create_task(self._given_up.wait())
        given_up.add_done_callback(lambda _: settle(Rejoin("committing offsets: the broker is away")))
        try:
            return await future
        finally:
            given_up.cancel()

    def _finished(self, in_hand: _InHand) -> None:
        records = len(in_hand.batch.records)
        self._metrics.acknowledged.inc(records)
        self._metrics.batch_seconds.observe(perf_counter() - in_hand.started)
        self._intake.done(in_hand.batch)

    async def _write_again(self, messages: list[Outgoing], failures: list[Failure]) -> Outlet:
        """Each record in a batch of its own: what the broker then refuses is refused for what it is."""
        in_transactions = self._outlet.is_transactional
        await self._abort(self._outlet)
        careful = await self._careful_outlet()
        rest: Sequence[Outgoing] = messages if in_transactions else [message for message, _ in failures]
        while True:
            await careful.begin()
            await careful.write(rest)
            failures = await careful.acknowledged()
            if not failures:
                return careful
            await self._abort(careful)
            aside_ = {id(message): self._set_aside(message, error) for message, error in failures}
            rest = [aside_.get(id(message), message) for message in rest] if in_transactions else list(aside_.values())

    def _set_aside(self, message: Outgoing, error: KafkaError) -> Outgoing:
        size = len(message.value or b"")
        if message.topic == self._stream.dead_letter:
            raise LimitError(
                f"the broker does not take a dead letter of {size:,} bytes ({message.source.topic}, partition "
                f"{message.source.partition}, offset {message.source.offset}); raise its topic's max.message.bytes",
                code="DEAD_LETTER_TOO_LARGE",
            )
        return self._processor.refused(message, refusal(error, size))

    async def _abort(self, outlet: Outlet) -> None:
        await outlet.abort()
        if outlet.is_transactional:
            self._metrics.aborted.inc()

    async def _drop(self) -> None:
        """Give back what has no outcome: it will be read again, here or elsewhere."""
        dropped = list(self._in_hand)
        self._in_hand.clear()
        for in_hand in dropped:
            in_hand.outcome.cancel()
        await asyncio.gather(*(in_hand.outcome for in_hand in dropped), return_exceptions=True)
        for in_hand in dropped:
            self._metrics.abandoned.inc(len(in_hand.batch.records))
            self._intake.done(in_hand.batch)
        if self._epoch is not None:
            self._epoch.is_over = True
            self._epoch.settled.set()

    async def _leave(self) -> None:
        self._leaving = True
        await self._drop()
        self._intake.close()
        with suppress(TimeoutError):  # the broker is away: the group finds out by itself
            async with asyncio.timeout(_LEAVE_WITHIN):
                await aside(self._intake.leave)

    async def _careful_outlet(self) -> Outlet:
        if self._careful is None:
            self._careful = Outlet(self._stream, alone=True)
            await self._careful.open()
        return self._careful


class _Posting:
    """Hands on what the intake's thread tells to the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, session: Session) -> None:
        self._loop = loop
        self._session = session

    def __getattr__(self, name: str) -> Callable[[Any], None]:
        method = getattr(self._session, name)

        def post(told: Any) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(method, told)

        return post
