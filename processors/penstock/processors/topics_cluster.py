"""What the properties of ConsumeTopic and PublishTopic say of the Kafka cluster, and what its errors mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kafka.errors import (  # type: ignore[import-untyped]
    AuthorizationError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    SaslAuthenticationFailedError,
)
from kafka.net.compat import KafkaNetClient  # type: ignore[import-untyped]

from penstock.proto import LimitError, PenstockError, SetupError, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PLAIN: Final = "PLAINTEXT"
_BOOTSTRAP_MS: Final = 5_000  # for the first answer of a broker; NiFi asks again


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kafka cluster, and who we are to it.

    Attributes:
        servers: ``host:port``, several between commas.
        protocol: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
        mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; for SASL.
        user: for SASL.
        password: for SASL.
        ca_file: PEM file of the authorities to trust; None trusts the well-known ones.
    """

    servers: str
    protocol: str = PLAIN
    mechanism: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None

    def options(self) -> dict[str, Any]:
        """The arguments of a client of kafka-python."""
        options: dict[str, Any] = {
            "bootstrap_servers": [server.strip() for server in self.servers.split(",")],
            "bootstrap_timeout_ms": _BOOTSTRAP_MS,
            "security_protocol": self.protocol,
            "metadata_max_age_ms": 30_000,  # else a new topic or partition is seen after five minutes
        }
        if self.protocol.startswith("SASL_"):
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        if self.ca_file:
            options["ssl_cafile"] = self.ca_file
        return options


def start(kind: Callable[..., Any], cluster: Cluster, **options: Any) -> Any:
    """A consumer or a producer of kafka-python, connected.

    Raises:
        KafkaError: no broker answers, or refuses us.
    """
    made: list[Any] = []

    def client(**settings: Any) -> Any:
        made.append(KafkaNetClient(**settings))
        return made[-1]

    try:
        return kind(kafka_client=client, **cluster.options(), **options)
    except BaseException:
        for each in made:  # kafka-python leaves its thread and its sockets behind; NiFi tries again every second
            each.close()
        raise


def cluster_of(values: Mapping[str, str | None]) -> Cluster:
    """The cluster that properties describe; empty ones count as unset.

    Raises:
        SetupError: one is missing, or does not go with another.
    """
    given = {name: value.strip() for name, value in values.items() if value and value.strip()}
    protocol = given.get("Security protocol", PLAIN)
    if protocol.startswith("SASL_"):
        missing = [name for name in ("SASL mechanism", "User", "Password") if name not in given]
        if missing:
            raise SetupError(f"{protocol} needs {', '.join(missing)} too")
    elif "Password" in given:
        raise SetupError(f"a Password is for SASL_PLAINTEXT and SASL_SSL, and Security protocol is {protocol}")
    ca_file = given.get("Trusted certificates")
    if ca_file and not Path(ca_file).is_file():
        raise SetupError(f"Trusted certificates: there is no file {ca_file}")
    return Cluster(
        servers=required(given, "Bootstrap servers"),
        protocol=protocol,
        mechanism=given.get("SASL mechanism"),
        user=given.get("User"),
        password=given.get("Password"),
        ca_file=ca_file,
    )


def required(values: Mapping[str, str | None], name: str) -> str:
    """The value of a property that must have one.

    Raises:
        SetupError: it has none.
    """
    value = (values.get(name) or "").strip()
    if not value:
        raise SetupError(f"{name} is not set")
    return value


def in_our_words(error: KafkaError, cluster: Cluster) -> PenstockError:
    """An error of kafka-python as one of ours, that knows whether to try again."""
    code = f"KAFKA_{type(error).__name__.removesuffix('Error').upper()}"
    said = f"Kafka at {cluster.servers}: {_said(error)}"
    if isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError):
        return LimitError(said, code=code)
    if isinstance(error, AuthorizationError | SaslAuthenticationFailedError):
        return Unauthenticated(said, code=code)
    return Unavailable(said, code=code)  # whatever else: the record is not at fault


def _said(error: KafkaError) -> str:
    name = type(error).__name__
    text = str(error).strip()
    return text if text.startswith(name) else f"{name}: {text}" if text else name
