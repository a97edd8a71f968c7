"""Writing: a producer of librdkafka, with or without transactions, and what it could not write.

What costs per record runs in the event loop. Delivery reports are fetched there, too: where another thread waits for
them, each of them waits for the loop to let go of the interpreter, 0.2 ms for a record.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import uuid4

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from .aside import aside
from .pipe_errors import Rejoin, is_about_the_record, raised
from .pipe_settings import largest_batch, producer_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .records import Outgoing
    from .spec import Stream

    Failure = tuple[Outgoing, KafkaError]

T = TypeVar("T")

_LOOK_EVERY: Final = 0.001  # for reports of delivery, while there are some to come
_LOOK_SELDOM: Final = 0.02  # the same where the broker has been silent for as long as
_SILENT: Final = 1.0
_ONE_TRY: Final = 5.0
_BETWEEN_TRIES: Final = 0.1
_CLOSE_WITHIN: Final = 5.0
_BY_KEY: Final = -1


class Outlet:
    """One producer; for a stream that is exactly-once, all it writes is in transactions.

    Attributes:
        is_transactional: whether it is.
    """

    def __init__(self, stream: Stream, *, alone: bool = False) -> None:
        # A new id for each membership: a worker that was taken for dead is fenced by its membership (KIP-447).
        own = f"{stream.kafka.group}-{uuid4().hex}" if stream.guarantee == "exactly_once" else ""
        self.is_transactional = bool(own)
        self._tells_which = alone or not own
        self._kafka = stream.kafka
        self._topics = (stream.sink.topic, stream.dead_letter)
        self._failures: list[Failure] = []
        self._partitions: dict[str, int] = {}
        self._given_up = threading.Event()
        self._settings = partial(producer_settings, stream, transactional_id=own, alone=alone)
        self._producer: Any = None

    async def open(self) -> None:
        """Reach the broker, for as long as it takes.

        Raises:
            Rejoin: it did not go well, or `give_up` was called.
            Unauthenticated: the broker refuses.
        """
        most = await self._insist("asking for the topics' limits", largest_batch, self._kafka, self._topics)
        # Without a callback a fatal error is raised by whatever is called next; here each call tells its own.
        self._producer = Producer(self._settings(batch_bytes=most) | {"error_cb": _ignored})
        if self.is_transactional:
            await self._insist("opening the producer", self._producer.init_transactions, _ONE_TRY)
        for topic in self._topics:
            told: Any = await self._insist("asking for partitions", self._producer.list_topics, topic, _ONE_TRY)
            self._partitions[topic] = max(1, len(told.topics[topic].partitions))

    async def begin(self) -> None:
        """Begin a transaction, where there are such.

        Raises:
            Rejoin: it was not begun.
        """
        self._failures.clear()
        if self.is_transactional:
            # In a thread though it asks no broker: it waits without a bound for a thread of librdkafka's, perhaps for
            # ever (its issue 4420). In the event loop nobody could give it up, and nothing would be told any more.
            await self._insist("beginning a transaction", self._producer.begin_transaction)

    async def write(self, messages: Sequence[Outgoing]) -> None:
        """Hand ``messages`` to the producer; where its queue is full, when there is room again.

        Raises:
            Rejoin: it did not go well. Unauthenticated: the broker refuses.
        """
        rest: Sequence[Outgoing] = messages
        while rest:
            rest = rest[self._put(rest) :]
            self._hear()
            self._check()
            if rest and self._is_spoilt():
                return
            if rest:
                await asyncio.sleep(_LOOK_EVERY)

    def _put(self, messages: Sequence[Outgoing]) -> int:
        """How many of ``messages`` there was room for."""
        produce, failed, partitions = self._producer.produce, self._failed, self._partitions
        # Where all is written again anyway, it is enough to know that one of them has failed.
        told = partial(failed, messages[0])
        for number, message in enumerate(messages):
            topic, key, value, headers, source = message
            # With a key librdkafka chooses by it; without one it would choose at random.
            at = _BY_KEY if key is not None else source.partition % partitions[topic]
            if self._tells_which:
                told = partial(failed, message)
            try:
                # By position: names cost 0.5 µs. The sixth is the callback again, the seventh the time, 0 for now.
                produce(topic, value, key, at, told, None, 0, headers)
            except BufferError:
                return number
            except KafkaException as error:
                if is_about_the_record(error.args[0]):
                    self._failures.append((message, error.args[0]))
                    continue
                self._hear()  # which record has spoilt the transaction
                if self._is_spoilt():
                    return number
                raise raised(error.args[0], "writing", self._kafka) from None
        return len(messages)

    def _is_spoilt(self) -> bool:
        """Whether a record that the broker does not take keeps the transaction from being committed."""
        return self.is_transactional and bool(self._failures)

    async def acknowledged(self) -> list[Failure]:
        """Wait until all that was written is with the broker; what the broker does not take, in order.

        In a transaction that will have to be aborted the first of these is enough.

        Raises:
            Rejoin: it did not go well, or `give_up` was called.
            Unauthenticated: the broker refuses.
        """
        waiting_since = monotonic()
        before = len(self._producer)
        while (left := len(self._producer)) and not self._is_spoilt():
            self._hear()
            self._check()
            if left != before:
                waiting_since, before = monotonic(), left
            await asyncio.sleep(_LOOK_SELDOM if monotonic() - waiting_since > _SILENT else _LOOK_EVERY)
        self._hear()
        self._check()
        return list(self._failures)

    async def commit(self, offsets: list[TopicPartition], membership: Any) -> None:
        """Commit the transaction, and ``offsets`` of the source in it.

        Args:
            offsets: the next ones to read.
            membership: of the group, from when the records were assigned; an older one is refused by the broker.

        Raises:
            Rejoin: it was not committed, or nobody knows. Unauthenticated: the broker refuses.
        """
        producer, doing = self._producer, "committing a transaction"
        await self._insist(doing, producer.send_offsets_to_transaction, offsets, membership, _ONE_TRY)
        await self._insist(doing, producer.commit_transaction, _ONE_TRY)

    async def abort(self) -> None:
        """Abort the transaction, where there are such.

        Raises:
            Rejoin: it was not aborted.
        """
        if self.is_transactional:
            await self._insist("aborting a transaction", self._producer.abort_transaction, _ONE_TRY)
        self._failures.clear()

    def give_up(self) -> None:
        """Wait for the broker no longer."""
        self._given_up.set()

    async def close(self) -> None:
        """End it. What is not acknowledged may or may not be written; an open transaction is aborted."""
        self._given_up.set()
        if self._producer is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_WITHIN):
                await aside(self._close)
        except TimeoutError:
            return  # the broker is away; the thread waits for it alone, and ends with the process

    def _close(self) -> None:
        self._producer.purge()
        with suppress(KafkaException):  # a producer that was fenced says so again, and is closed all the same
            self._producer.close()

    def _hear(self) -> None:
        """Take the reports of delivery; what is fatal, as that others have taken over, may be told here first."""
        try:
            self._producer.poll(0)
        except KafkaException as error:
            raise raised(error.args[0], "writing", self._kafka) from None

    def _failed(self, message: Outgoing, error: KafkaError, _: Any) -> None:
        self._failures.append((message, error))

    def _check(self) -> None:
        if self._given_up.is_set():
            raise Rejoin("writing: the broker is away")
        for _, error in self._failures:
            if not is_about_the_record(error):
                raise raised(error, "writing", self._kafka)

    async def _insist(self, doing: str, call: Callable[..., T], *arguments: Any) -> T:
        """Call in a thread, again where librdkafka says that this helps."""
        return await aside(self._until_it_works, doing, call, *arguments)

    def _until_it_works(self, doing: str, call: Callable[..., T], *arguments: Any) -> T:
        while True:
            try:
                return call(*arguments)
            except KafkaException as error:
                cause: KafkaError = error.args[0]
                again = cause.retriable() or cause.code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT)
                if not again or cause.fatal() or cause.txn_requires_abort() or self._given_up.wait(_BETWEEN_TRIES):
                    raise raised(cause, doing, self._kafka) from None


def _ignored(_: KafkaError) -> None:
    """What matters of it comes back from the call that it spoils."""
