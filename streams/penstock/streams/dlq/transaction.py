"""The one writer of a dead-letter topic's ledger: whoever starts later shuts the earlier one out."""

from __future__ import annotations

from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from penstock.proto import ServiceError
from penstock.streams.librdkafka import in_our_words, librdkafka_settings

from .ledger import ledger_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from penstock.streams.records import Headers
    from penstock.streams.spec import Kafka

    from .ledger import Entry

_STARTING: Final = 60.0  # seconds; a transaction that a killed replay has left open is ended first
_SENDING: Final = 20.0  # seconds for the replicas to acknowledge a transaction's records
# Readers of committed records wait behind an open transaction, so a replay that was killed must not stay open long.
_OPEN_MS: Final = 30_000
_FENCED: Final = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})


class LedgerWriter:
    """Writes records and the entries about them, in transactions.

    All writers of a ledger have the same transactional id. So once one is made, no other is in the middle of
    something: a transaction that was under way is committed or aborted, and its writer can do nothing any more.
    """

    def __init__(self, kafka: Kafka, topic: str) -> None:
        """Connect, and shut earlier writers out.

        Args:
            kafka: the broker.
            topic: the dead letters.

        Raises:
            PenstockError: the broker does not answer, or refuses.
        """
        self._kafka = kafka
        self._ledger = ledger_of(topic)
        self._topic = topic
        self._refused: KafkaError | None = None
        self._producer = Producer(
            librdkafka_settings(kafka)
            | {
                "transactional.id": f"penstock-dlq-{topic}",
                "transaction.timeout.ms": _OPEN_MS,
                "partitioner": "murmur2_random",  # Java's, so that a key goes where most other clients send it
                "linger.ms": 5,
                "message.max.bytes": 1_000_000_000,  # what was read can be written; the broker has the last word
            }
        )
        with self._in_our_words():
            self._retried(lambda: self._producer.init_transactions(_STARTING))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written in the block is there, or nothing of it.

        Raises:
            ServiceError: ``REPLAYED_ELSEWHERE``, somebody else has begun to work on these dead letters. PenstockError:
                the broker does not answer, or does not take a record.
        """
        with self._in_our_words():
            self._producer.begin_transaction()
            try:
                yield
                self.flush()
                self._retried(lambda: self._producer.commit_transaction(_SENDING))
            except BaseException:
                self._abort()
                raise

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: Headers,
        *,
        partition: int = -1,
        sent: Callable[[Any], None] | None = None,
    ) -> None:
        """Write a record; ``sent`` gets it with its place, at the next `flush` at the latest."""

        def told(error: KafkaError | None, message: Any) -> None:
            if error is not None:
                self._refused = self._refused or error
            elif sent is not None:
                sent(message)

        while True:
            try:
                # The list in its own order; None stays a header without a value.
                self._producer.produce(
                    topic, value=value, key=key, headers=list(headers), partition=partition, on_delivery=told
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

    def note(self, entries: Mapping[str, Entry]) -> None:
        """Write entries of the ledger, by the places of their letters."""
        for place, entry in entries.items():
            self.send(self._ledger, entry.value(), place.encode(), [])

    def flush(self) -> None:
        """Wait until all records that were sent have their places.

        Raises:
            PenstockError: the broker does not take one, or does not answer.
        """
        left = self._producer.flush(_SENDING)
        if self._refused is not None:
            raise KafkaException(self._refused)
        if left:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"no acknowledgement within {_SENDING:g} s"))

    def partitions(self, topics: Collection[str]) -> dict[str, int]:
        """How many partitions each of these topics has; those that are not there are left out."""
        with self._in_our_words():
            there = self._producer.list_topics(timeout=_SENDING).topics
        return {topic: len(there[topic].partitions) for topic in topics if topic in there}

    def _abort(self) -> None:
        try:
            self._producer.purge()
            self._producer.abort_transaction(_SENDING)
        except KafkaException as error:
            # A fenced producer says no more than "fatal" where it is to send, and why only here.
            if error.args[0].code() in _FENCED:
                raise

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            if error.args[0].code() in _FENCED:
                raise ServiceError(
                    f"somebody else has begun to replay or purge {self._topic}, and goes on with it; what was done "
                    "until then is done",
                    code="REPLAYED_ELSEWHERE",
                ) from None
            raise in_our_words(error, self._kafka) from None

    def _retried(self, call: Callable[[], object]) -> None:
        until = monotonic() + _STARTING
        while True:
            try:
                call()
            except KafkaException as error:
                if not error.args[0].retriable() or monotonic() > until:
                    raise
                sleep(0.1)
            else:
                return
