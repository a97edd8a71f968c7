"""Writing results and dead letters: returns once the broker has all of them.

Batches are built here, one for each partition, and handed to aiokafka whole: its ``send`` costs 40 µs for each
record, most of it for a future that nobody looks at.
"""

from __future__ import annotations

import asyncio
import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError, MessageSizeTooLargeError  # type: ignore[import-untyped]
from aiokafka.partitioner import murmur2  # type: ignore[import-untyped]

from penstock.proto import LimitError

from .connection import aiokafka_settings
from .patience import BackOff

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.proto import PenstockError

    from .patience import Patience
    from .records import Outgoing
    from .spec import Stream

    Refused = Callable[[Outgoing, PenstockError], Outgoing]

_log = logging.getLogger("penstock.streams")

_BATCH_BYTES: Final = 900_000  # below the 1,048,588 that a broker takes unless told otherwise
_LARGEST_REQUEST: Final = 64 << 20  # what is too large for the broker, the broker says
_STOP_WITHIN: Final = 5.0


class Delivery:
    """An idempotent producer that waits for all replicas."""

    def __init__(self, stream: Stream, patience: Patience, refused: Refused) -> None:
        self._stream = stream
        self._refused = refused
        self._back_off = BackOff(patience, f"the broker at {stream.kafka.bootstrap}")
        self._producer: Any = None

    async def deliver(self, messages: Sequence[Outgoing]) -> None:
        """Write ``messages``; in each partition they keep their order.

        A result that is too large for the broker becomes a dead letter. Where the broker is away it is waited for.
        A failure in between writes all of them again: doubled, never lost.

        Raises:
            Abandoned: the waiting was ended.
            LimitError: a dead letter is too large for the broker.
        """
        while True:
            try:
                too_large = await self._write(messages)
            except KafkaError as error:
                await self.close()
                await self._back_off.wait(f"{type(error).__name__} while writing results")
            else:
                self._back_off.over()
                if not too_large:
                    return
                messages = [self._set_aside(message) for message in too_large]

    async def close(self) -> None:
        """End the connection; what was delivered is delivered."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            async with asyncio.timeout(_STOP_WITHIN):
                await producer.stop()
        except (TimeoutError, KafkaError):
            _log.debug("the producer did not stop in time")

    async def _write(self, messages: Sequence[Outgoing]) -> list[Outgoing]:
        """Write all; those that the broker finds too large."""
        producer = await self._started()
        filled = await self._filled(producer, messages)
        futures = [await producer.send_batch(built, topic, partition=number) for built, _, topic, number in filled]
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        too_large: list[Outgoing] = []
        for outcome, (_, members, _, _) in zip(outcomes, filled, strict=True):
            if isinstance(outcome, MessageSizeTooLargeError):
                if len(members) > 1:
                    for member in members:
                        too_large += await self._write([member])
                else:
                    too_large += members
            elif isinstance(outcome, BaseException):
                raise outcome
        return too_large

    async def _filled(self, producer: Any, messages: Sequence[Outgoing]) -> list[tuple[Any, list[Outgoing], str, int]]:
        """The messages in batches, each for one partition."""
        counts = {topic: len(await producer.partitions_for(topic)) for topic in {m.topic for m in messages}}
        filled: list[tuple[Any, list[Outgoing], str, int]] = []
        open_: dict[tuple[str, int], tuple[Any, list[Outgoing]]] = {}
        for message in messages:
            topic, key, value, headers, source = message
            count = counts[topic]
            number = source.partition % count if key is None else _partition(key, count)
            built, members = open_.get((topic, number), (None, []))
            if built is None or built.append(timestamp=None, key=key, value=value, headers=headers) is None:
                built, members = producer.create_batch(), []
                built.append(timestamp=None, key=key, value=value, headers=headers)
                open_[topic, number] = built, members
                filled.append((built, members, topic, number))
            members.append(message)
        return filled

    async def _started(self) -> Any:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **aiokafka_settings(self._stream.kafka),
                acks="all",
                enable_idempotence=True,
                max_batch_size=_BATCH_BYTES,
                max_request_size=_LARGEST_REQUEST,
            )
            self._producer = producer
            await producer.start()
        return self._producer

    def _set_aside(self, message: Outgoing) -> Outgoing:
        size = len(message.value or b"")
        if message.topic == self._stream.dead_letter:
            raise LimitError(
                f"the broker does not take a dead letter of {size:,} bytes ({message.source.topic}, partition "
                f"{message.source.partition}, offset {message.source.offset}); raise its topic's max.message.bytes",
                code="DEAD_LETTER_TOO_LARGE",
            )
        error = LimitError(f"the result has {size:,} bytes, more than the broker takes", code="RESULT_TOO_LARGE")
        return self._refused(message, error)


@lru_cache(maxsize=16_384)
def _partition(key: bytes, count: int) -> int:
    """The partition that Kafka's default partitioner gives a key; murmur2 is Python here, so keys are remembered."""
    return int(murmur2(key) & 0x7FFFFFFF) % count
