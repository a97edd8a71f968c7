"""A client of kafka-python for as long as a block runs; its errors are ours, in one line."""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from kafka.errors import (  # type: ignore[import-untyped]  # it has no types
    AuthorizationError,
    BrokerResponseError,
    KafkaError,
    MessageSizeTooLargeError,
    SaslAuthenticationFailedError,
    UnknownTopicOrPartitionError,
)
from kafka.net.compat import KafkaNetClient  # type: ignore[import-untyped]  # it has no types

from penstock.proto import LimitError, PenstockError, SetupError, Unauthenticated, Unavailable
from penstock.streams.calls import secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.streams.spec import Kafka

_BOOTSTRAP_MS: Final = 5_000  # for the first answer of a broker
# What fails is told by errors; without this, kafka-python's own log would go to stderr.
logging.getLogger("kafka").addHandler(logging.NullHandler())


@contextmanager
def client(kind: Callable[..., Any], kafka: Kafka, **options: Any) -> Iterator[Any]:
    """A consumer, producer or admin client of kafka-python.

    Raises:
        PenstockError: no broker answers, or it refuses; also for errors of Kafka inside the block.
    """
    made: list[Any] = []

    def inner(**settings: Any) -> Any:
        made.append(KafkaNetClient(**settings))
        return made[-1]

    try:
        connected = kind(kafka_client=inner, **_settings(kafka), **options)
    except KafkaError as error:
        for each in made:  # kafka-python leaves its thread and its sockets behind
            each.close()
        raise in_our_words(error, kafka) from None
    try:
        yield connected
    except KafkaError as error:
        raise in_our_words(error, kafka) from None
    finally:
        with suppress(KafkaError):
            connected.close()


def in_our_words(error: KafkaError, kafka: Kafka) -> PenstockError:
    """An error of kafka-python as one of ours."""
    said = f"Kafka at {kafka.bootstrap}: {_said(error)}"
    code = f"KAFKA_{type(error).__name__.removesuffix('Error').upper()}"
    if isinstance(error, MessageSizeTooLargeError):
        return LimitError(said, code=code)
    if isinstance(error, AuthorizationError | SaslAuthenticationFailedError):
        return Unauthenticated(said, code=code)
    if isinstance(error, UnknownTopicOrPartitionError):
        return SetupError(said, code="NO_TOPIC")
    if isinstance(error, BrokerResponseError) and not error.retriable:
        return SetupError(said, code=code)
    return Unavailable(f"{said}; is it running?" if not isinstance(error, BrokerResponseError) else said, code=code)


def _said(error: KafkaError) -> str:
    # The text of an answer repeats all of the request; what it means is in the description of its class.
    text = getattr(error, "description", "") or "" if isinstance(error, BrokerResponseError) else str(error)
    name = type(error).__name__
    return " ".join(text.split()).removeprefix(f"{name}: ")[:300] or name


def _settings(kafka: Kafka) -> dict[str, Any]:
    security = kafka.security
    settings: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in kafka.bootstrap.split(",")],
        "bootstrap_timeout_ms": _BOOTSTRAP_MS,
        "client_id": "penstock",
        "security_protocol": security.protocol,
    }
    if security.protocol.startswith("SASL"):
        settings |= {
            "sasl_mechanism": security.mechanism,
            "sasl_plain_username": security.username,
            "sasl_plain_password": secret(security.password_env),
        }
    if security.protocol.endswith("SSL"):
        files = {
            "ssl_cafile": security.ca_file,
            "ssl_certfile": security.cert_file,
            "ssl_keyfile": security.key_file,
        }
        settings |= {name: str(file) for name, file in files.items() if file}
        if security.key_password_env:
            settings["ssl_password"] = secret(security.key_password_env)
    return settings
