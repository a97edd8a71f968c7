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
        What may not have been written is written again: doubled, never lost.

        Raises:
            Abandoned: the waiting was ended.
            LimitError: a dead letter is too large for the broker.
        """
        alone = False
        while messages:
            failed = await self._write(messages, alone=alone)
            if not failed:
                self._back_off.over()
                return
            # A producer that has lost a batch cannot go on: its sequence numbers have a gap.
            await self.close()
            too_large = [members for error, members in failed if isinstance(error, MessageSizeTooLargeError)]
            alone = alone or any(len(members) > 1 for members in too_large)
            messages = [message for error, members in failed for message in self._again(error, members)]
            if not too_large:
                await self._back_off.wait(f"{type(failed[0][0]).__name__} while writing results")

    def _again(self, error: BaseException, members: list[Outgoing]) -> list[Outgoing]:
        """What to write instead of a batch that has failed."""
        if isinstance(error, MessageSizeTooLargeError) and len(members) == 1:
            return [self._set_aside(members[0])]
        return members

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

    async def _write(self, messages: Sequence[Outgoing], *, alone: bool) -> list[tuple[BaseException, list[Outgoing]]]:
        """Write all; the batches that have failed, in order, and why."""
        try:
            producer = await self._started()
            filled = await self._filled(producer, messages, alone=alone)
            futures = [await producer.send_batch(built, topic, partition=number) for built, _, topic, number in filled]
        except KafkaError as error:
            return [(error, list(messages))]
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        failed = []
        for outcome, (_, members, _, _) in zip(outcomes, filled, strict=True):
            if isinstance(outcome, BaseException):
                if not isinstance(outcome, KafkaError):
                    raise outcome
                failed.append((outcome, members))
        return failed

    async def _filled(
        self, producer: Any, messages: Sequence[Outgoing], *, alone: bool
    ) -> list[tuple[Any, list[Outgoing], str, int]]:
        """The messages in batches, each for one partition; with ``alone`` one message each."""
        counts = {topic: len(await producer.partitions_for(topic)) for topic in {m.topic for m in messages}}
        filled: list[tuple[Any, list[Outgoing], str, int]] = []
        open_: dict[tuple[str, int], tuple[Any, list[Outgoing]]] = {}
        for message in messages:
            topic, key, value, headers, source = message
            count = counts[topic]
            number = source.partition % count if key is None else _partition(key, count)
            built, members = open_.get((topic, number), (None, []))
            if alone or built is None or built.append(timestamp=None, key=key, value=value, headers=headers) is None:
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
