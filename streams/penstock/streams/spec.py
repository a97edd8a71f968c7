"""What a stream is told: where records come from, who answers, where the answers go.

This module says what there is; `spec_file` reads it from TOML. Everything here is frozen, so a stream that runs
does what `penstock stream check` has shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.proto import Kind

    from .pointers import Pointer


@dataclass(frozen=True, slots=True)
class Source:
    """The topic that is read.

    Attributes:
        topic: its name.
        format: kind of the features, one of the six.
        base64: whether binData comes as base64 text instead of bytes.
        features: where the features are inside a JSON record: none where they are the whole record, one pointer where
            one value holds them, several where each holds one column of a row.
        names: column names that go with the features.
        start: where a group that has never read starts, ``earliest`` or ``latest``.
        on_null: what becomes of a record without a value (a tombstone): ``forward`` gives the sink the same null,
            ``skip`` passes over it, ``dead_letter`` sets it aside.
    """

    topic: str
    format: Kind
    base64: bool = False
    features: tuple[Pointer, ...] = ()
    names: tuple[str, ...] = ()
    start: str = "earliest"
    on_null: str = "forward"


@dataclass(frozen=True, slots=True)
class Service:
    """Who answers: a service by its address, or a model that runs inside the worker.

    Attributes:
        address: ``grpc://host:port`` or ``http://host:port``; empty where a model is given.
        model: an ONNX or TFLite file, or the folder of a Python model; None where an address is given.
        deadline: seconds for one call.
        concurrency: calls at once, where a batch needs several: kinds that have no rows to stack (binData, strData,
            jsonData), rows of different shape.
        token_env: environment variable with the bearer token; empty for none.
        ca_file: PEM file of the authorities to trust instead of the well-known ones.
    """

    address: str = ""
    model: Path | None = None
    deadline: float = 3.0
    concurrency: int = 16
    token_env: str = ""
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Sink:
    """The topic that gets the answers.

    Attributes:
        topic: its name.
        format: kind of the answers; None writes the kind that the service answers with.
        field: where the answer is put into the JSON record that was read; None writes the answer alone.
    """

    topic: str
    format: Kind | None = None
    field: Pointer | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """How many records share one model call.

    Attributes:
        records: at most so many are taken together; `spec_file` has more for the pipe.
        rows: at most so many rows are asked at the same time, in one call or several; a single record may have more.
        wait: seconds that a batch waits for more records; 0 takes what has come while the last batch was busy.
    """

    records: int = 256
    rows: int = 2048
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Security:
    """How the broker is talked to; the names are Kafka's own.

    Attributes:
        protocol: ``PLAINTEXT``, ``SSL``, ``SASL_PLAINTEXT`` or ``SASL_SSL``.
        mechanism: ``PLAIN``, ``SCRAM-SHA-256`` or ``SCRAM-SHA-512``.
        username: for SASL.
        password_env: environment variable with the password; a password itself is never in the file.
        ca_file: PEM file of the authorities to trust instead of the well-known ones.
        cert_file: PEM file of the client's certificate.
        key_file: PEM file of its key.
        key_password_env: environment variable with the password of the key.
    """

    protocol: str = "PLAINTEXT"
    mechanism: str = "PLAIN"
    username: str = ""
    password_env: str = ""
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    key_password_env: str = ""


@dataclass(frozen=True, slots=True)
class Kafka:
    """The broker and the worker's place there.

    Attributes:
        bootstrap: ``host:port``, several with commas.
        group: the consumer group.
        session_timeout: seconds without a heartbeat after which the broker gives the partitions to others. Faust's
            own 60 s would block a group for a minute after a kill; a broker allows 6 s and more.
        start_timeout: seconds that a starting worker waits for the broker before it gives up.
        create_topics: whether topics that are missing are created.
        partitions: of a source topic that is created; the others get as many as the source has.
        security: see `Security`.
    """

    bootstrap: str = "127.0.0.1:9092"
    group: str = ""
    session_timeout: float = 8.0
    start_timeout: float = 30.0
    create_topics: bool = True
    partitions: int = 1
    security: Security = field(default_factory=Security)


@dataclass(frozen=True, slots=True)
class Stream:
    """All of one stream.

    Attributes:
        name: identifies it in logs, metrics, headers and the default names.
        source: see `Source`.
        service: see `Service`.
        sink: see `Sink`.
        dead_letter: the topic for records that cannot be processed.
        engine: ``pipe`` (librdkafka: source, model, sink) or ``faust`` (beside tables, windows and agents of a Faust
            app).
        guarantee: ``at_least_once`` or ``exactly_once``; the latter with ``pipe`` only.
        batch: see `Batch`.
        kafka: see `Kafka`.
    """

    name: str
    source: Source
    service: Service
    sink: Sink
    dead_letter: str
    engine: str = "pipe"
    guarantee: str = "at_least_once"
    batch: Batch = field(default_factory=Batch)
    kafka: Kafka = field(default_factory=Kafka)
