"""What has been done about dead letters: a compacted topic of one partition, one entry for each letter."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # it is meant to be there

from penstock.proto import SetupError
from penstock.streams.librdkafka import in_our_words, librdkafka_settings
from penstock.streams.scan import Scan

if TYPE_CHECKING:
    from penstock.streams.spec import Kafka

_MOST_REPLICAS: Final = 3  # what Kafka's own topics get, where there are so many brokers
_ANSWER: Final = 15.0  # seconds for the broker to create a topic


@dataclass(frozen=True, slots=True)
class Entry:
    """What was done about one dead letter.

    Attributes:
        done: ``replayed`` or ``purged``.
        at: when; milliseconds since 1970.
        written: the timestamp of the letter, so that an entry about a topic of the same name, deleted since, is none
            about this letter.
        source: where the record was: ``topic/partition/offset``.
        puid: of the record there.
        to: where it was written again, likewise; empty where it was purged.
        to_puid: of the record there: another one, unless the record brings its own.
    """

    done: str
    at: int
    written: int
    source: str = ""
    puid: str = ""
    to: str = ""
    to_puid: str = ""

    def value(self) -> bytes:
        """As it is written."""
        return json.dumps({key: value for key, value in asdict(self).items() if value != ""}).encode()


def ledger_of(topic: str) -> str:
    """The name of the ledger of a dead-letter topic."""
    return f"{topic}-handled"


def read_ledger(kafka: Kafka, topic: str) -> dict[str, Entry]:
    """The entries about the dead letters in ``topic``, by their place (``0/17``); none where there is no ledger yet.

    Raises:
        PenstockError: the broker does not answer, or refuses.
    """
    try:
        scan = Scan(kafka, ledger_of(topic))
    except SetupError as error:
        if error.code != "NO_TOPIC":
            raise
        return {}
    with scan:
        return {(record.key or b"").decode(): _entry(record.value) for record in scan if record.value}


def ensure_ledger(kafka: Kafka, topic: str) -> None:
    """Create the ledger of a dead-letter topic where it is not there.

    Raises:
        PenstockError: the broker does not.
    """
    name = ledger_of(topic)
    admin = AdminClient(librdkafka_settings(kafka))
    try:
        cluster = admin.list_topics(timeout=_ANSWER)
        if name in cluster.topics:
            return
        replicas = min(len(cluster.brokers), _MOST_REPLICAS)
        new = NewTopic(name, 1, replicas, config={"cleanup.policy": "compact"})
        admin.create_topics([new], operation_timeout=_ANSWER, request_timeout=_ANSWER)[name].result()
        until = monotonic() + _ANSWER
        while name not in admin.list_topics(timeout=_ANSWER).topics and monotonic() < until:
            sleep(0.05)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise in_our_words(error, kafka) from None


def _entry(value: bytes) -> Entry:
    told: dict[str, Any] = json.loads(value)
    return Entry(**{name: told[name] for name in Entry.__slots__ if name in told})
