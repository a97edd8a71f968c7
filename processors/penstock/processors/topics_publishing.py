"""PublishTopic: the content of a FlowFile to a topic, acknowledged by all replicas before NiFi goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from kafka import KafkaProducer  # type: ignore[import-untyped]
from kafka.errors import KafkaError  # type: ignore[import-untyped]

from penstock.proto import PayloadError, PenstockError, SetupError

from .lineage import headers_of
from .outcomes import SUCCESS, Outcome, failed
from .settings import seconds
from .topics_cluster import cluster_of, in_our_words, start
from .topics_keys import KeyEncoding, key_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .topics_cluster import Cluster

PROCESSOR: Final = "PublishTopic"
_HEADER_PREFIX: Final = "kafka.header."  # ConsumeTopic's
_LARGEST: Final = 1 << 30  # bytes of a record; the broker has the last word


class Records(StrEnum):
    """What of a FlowFile is a record."""

    WHOLE = "one record"
    LINES = "one record per line"


@dataclass(frozen=True, slots=True)
class Writing:
    """How FlowFiles become records.

    Attributes:
        records: what of a FlowFile is one.
        key_encoding: of the property Key.
        headers: the attributes to send as headers, without ConsumeTopic's prefix.
        deadline: seconds until the replicas have acknowledged.
    """

    records: Records = Records.WHOLE
    key_encoding: KeyEncoding = KeyEncoding.TEXT
    headers: tuple[str, ...] = ()
    deadline: float = 30.0


@dataclass(frozen=True, slots=True)
class Publication:
    """A FlowFile to publish.

    Attributes:
        content: of the FlowFile.
        topic: its name.
        key: of each record, as text; None or empty for none.
        tombstone: whether an empty content stands for no value at all.
        headers: values of the attributes that `Writing.headers` names, None where one is missing.
        lineage: values of the attributes of `lineage.SENT`, None where one is missing.
    """

    content: bytes
    topic: str
    key: str | None = None
    tombstone: bool = False
    headers: Sequence[str | None] = ()
    lineage: Mapping[str, str | None] = field(default_factory=dict)


def writing_of(values: Mapping[str, str | None]) -> Writing:
    """What the properties say.

    Raises:
        SetupError: one is not what it should be.
    """
    return Writing(
        records=Records(values.get("Records per FlowFile") or Records.WHOLE),
        key_encoding=KeyEncoding(values.get("Key encoding") or KeyEncoding.TEXT),
        headers=tuple(filter(None, (name.strip() for name in (values.get("Headers") or "").split(",")))),
        deadline=seconds(values.get("Deadline") or "30 sec"),
    )


def problem(values: Mapping[str, str | None]) -> str | None:
    """What is wrong with the properties, if anything."""
    try:
        cluster_of(values)
        writing_of(values)
    except SetupError as error:
        return error.message
    return None


class TopicWriter:
    """Publishes with one producer; for any number of threads."""

    def __init__(self, cluster: Cluster, writing: Writing) -> None:
        self.writing = writing
        self._cluster = cluster
        self._lock = Lock()
        self._producer: Any = None

    def __call__(self, publication: Publication) -> Outcome:
        """Publish, and wait until all replicas have it; whatever goes wrong is an outcome too."""
        try:
            sent = self._sent(publication)
        except PenstockError as error:
            return failed(PROCESSOR, error)
        attributes = {"kafka.topic": publication.topic, "kafka.count": str(len(sent))}
        if sent:
            attributes |= {"kafka.partition": str(sent[-1].partition), "kafka.offset": str(sent[-1].offset)}
        return Outcome(SUCCESS, attributes)

    def close(self) -> None:
        """Wait for what is on its way, and close the producer."""
        with self._lock:
            producer, self._producer = self._producer, None
        if producer:
            producer.close(timeout=self.writing.deadline)

    def _sent(self, publication: Publication) -> list[Any]:
        if not publication.topic:
            raise PayloadError("the property Topic is empty for this FlowFile", code="NO_TOPIC")
        key = key_bytes(publication.key, self.writing.key_encoding) if publication.key else None
        headers, values = self._headers(publication), self._values(publication)
        producer = None
        try:
            producer = self._connected()
            futures = [producer.send(publication.topic, value, key=key, headers=headers) for value in values]
            return [future.get(timeout=self.writing.deadline) for future in futures]
        except KafkaError as error:
            if producer:
                self._give_up(producer)
            raise in_our_words(error, self._cluster) from None
        except (ValueError, TypeError) as error:  # kafka-python's check of a topic's name
            raise PayloadError(f"{publication.topic!r:.80} is no name of a topic: {error}", code="BAD_TOPIC") from None

    def _headers(self, publication: Publication) -> list[tuple[str, bytes]]:
        pairs = zip(self.writing.headers, publication.headers, strict=True)
        named = [(name.removeprefix(_HEADER_PREFIX), value.encode()) for name, value in pairs if value is not None]
        joined = headers_of(publication.lineage, several=self.writing.records is Records.LINES)
        there = {name for name, _ in named}
        return named + [(name, value.encode()) for name, value in joined.items() if name not in there]

    def _values(self, publication: Publication) -> list[bytes | None]:
        content = bytes(publication.content)
        if publication.tombstone and not content:
            if not publication.key:
                raise PayloadError("a tombstone is about a key, and Key is empty for this FlowFile", code="NO_KEY")
            return [None]
        if self.writing.records is Records.WHOLE:
            return [content]
        return [*content.removesuffix(b"\n").split(b"\n")] if content else []

    def _connected(self) -> Any:
        with self._lock:
            if self._producer is None:
                milliseconds = int(self.writing.deadline * 1000)
                self._producer = start(
                    KafkaProducer,
                    self._cluster,
                    acks="all",
                    max_block_ms=milliseconds,
                    request_timeout_ms=milliseconds,
                    delivery_timeout_ms=milliseconds,
                    max_request_size=_LARGEST,
                )
            return self._producer

    def _give_up(self, producer: Any) -> None:
        """Make the next call start with a new producer: after an error, an idempotent one refuses whatever comes."""
        with self._lock:
            if self._producer is producer:
                self._producer = None
        try:
            producer.close(timeout=0)
        except KafkaError:  # something is still on its way; then it has not been closed at all
            producer._sender.force_close()
