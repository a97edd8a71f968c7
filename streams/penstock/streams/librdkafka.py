"""How librdkafka is told to reach the broker, and what its errors mean."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException

from penstock.proto import LimitError, PenstockError, SetupError, Unauthenticated, Unavailable

from .calls import secret

if TYPE_CHECKING:
    from .spec import Kafka

_REFUSED: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
_MISSING: Final = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}
)


# What fails is told by errors; librdkafka's own log goes to stderr, unless it has another place.
_log = logging.getLogger("penstock.librdkafka")
_log.addHandler(logging.NullHandler())


def librdkafka_settings(kafka: Kafka) -> dict[str, Any]:
    """Settings that all clients of librdkafka have in common; it writes no log of its own to stderr.

    Raises:
        SetupError: a secret is not in the environment.
    """
    security = kafka.security
    settings: dict[str, Any] = {
        "bootstrap.servers": kafka.bootstrap,
        "client.id": kafka.group or "penstock",
        "security.protocol": security.protocol,
        "logger": _log,
    }
    if security.protocol.startswith("SASL"):
        settings |= {
            "sasl.mechanism": security.mechanism,
            "sasl.username": security.username,
            "sasl.password": secret(security.password_env),
        }
    if security.protocol.endswith("SSL"):
        files = {
            "ssl.ca.location": security.ca_file,
            "ssl.certificate.location": security.cert_file,
            "ssl.key.location": security.key_file,
        }
        settings |= {name: str(file) for name, file in files.items() if file}
        if security.key_password_env:
            settings["ssl.key.password"] = secret(security.key_password_env)
    return settings


def in_our_words(error: KafkaError | KafkaException, kafka: Kafka) -> PenstockError:
    """An error of librdkafka as one of ours, that knows whether to try again."""
    cause = error.args[0] if isinstance(error, KafkaException) else error
    said = f"Kafka at {kafka.bootstrap}: {cause.str()}"
    code = cause.code()
    if code in _REFUSED:
        return Unauthenticated(said, code="KAFKA_REFUSED")
    if code == KafkaError.MSG_SIZE_TOO_LARGE:
        return LimitError(said, code="KAFKA_TOO_LARGE")
    if code in _MISSING:
        return SetupError(said, code="NO_TOPIC")
    return Unavailable(said, code=f"KAFKA_{cause.name().lstrip('_')}")
