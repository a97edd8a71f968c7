"""What a server and a client of the MQTT door are told; `settings_file` reads it from JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.streams.spec import Batch, Service, Source

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.proto import Kind

    from .topics import Pair


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS to the broker.

    Attributes:
        ca_file: PEM file of the authorities to trust instead of the well-known ones.
        cert_file: PEM file of the client's own certificate.
        key_file: PEM file of its key.
        key_password_env: environment variable with the password of the key.
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    key_password_env: str = ""


@dataclass(frozen=True, slots=True)
class BrokerService:
    """The broker, and how it is reached.

    Attributes:
        host: name or address.
        port: 1883, or 8883 with TLS, unless the file says otherwise.
        keepalive: seconds of silence after which broker and client tell each other that they are there.
        protocol: 5, or 4 for MQTT 3.1.1.
        username: empty for none.
        password_env: environment variable with the password.
        tls: None for plain TCP.
        start_timeout: seconds that a start waits for the broker before it gives up.
        session_expiry: seconds that the broker keeps what waits for a session whose owner is away.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    keepalive: int = 60
    protocol: int = 5
    username: str = ""
    password_env: str = ""
    tls: Tls | None = None
    start_timeout: float = 30.0
    session_expiry: int = 3600


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model and its name in the reply.

    Attributes:
        name: key of its value in a reply.
        service: a model in this process, or a service by its address.
    """

    name: str
    service: Service


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """All of ``server.json``.

    Attributes:
        id: of the service; with the worker's name it is the client id at the broker.
        broker: see `BrokerService`.
        pairs: where requests come from and replies go.
        models: at least one.
        source: what a request holds; its topic is not used.
        id_field: key of a JSON request's own identity, which the reply has again; empty for none.
        reply: kind of the reply; None is the forecast of each model under its name.
        share: name of the group of workers that share the requests; empty for a single worker.
        batch: how many requests share one model call.
        in_flight: requests that a worker has in hand at most.
        max_bytes: of a request.
        remember: answered requests that are known again, for each tenant.
        drain: seconds that a stop waits for what is in hand.
        status_topic: where a worker says whether it is there; its name is the last level.
    """

    id: str
    broker: BrokerService
    pairs: tuple[Pair, ...]
    models: tuple[ServedModel, ...]
    source: Source
    id_field: str = ""
    reply: Kind | None = None
    share: str = ""
    batch: Batch = field(default_factory=Batch)
    in_flight: int = 512
    max_bytes: int = 1 << 20
    remember: int = 10_000
    drain: float = 10.0
    status_topic: str = ""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """All of ``client.json``.

    Attributes:
        id: of the client at the broker.
        broker: see `BrokerService`.
        pair: its own topics, without wildcards.
        id_field: key under which a request carries its identity where the protocol has no place for it (MQTT 3.1.1).
        deadline: seconds that one try waits for its reply.
        attempts: tries for each request.
        concurrency: requests that wait for replies at the same time.
    """

    id: str
    broker: BrokerService
    pair: Pair
    id_field: str = ""
    deadline: float = 10.0
    attempts: int = 3
    concurrency: int = 16
