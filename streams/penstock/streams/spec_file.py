"""A spec file in TOML, read into `spec.Stream`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from penstock.proto import Kind, SetupError

from .pointers import Pointer
from .spec import Batch, Kafka, Security, Service, Sink, Source, Stream
from .spec_table import Table

_KINDS = tuple(Kind)
_LEGAL_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_BATCH = 256
# On the pipe, where a call is made while others are written. A service has a deadline for all that a call asks.
_BATCH_TO_SERVICE = 1024
_BATCH_INSIDE = 2048
_LONGEST_WAIT = 60.0
_LONGEST_DEADLINE = 3600.0
_LEAST_SESSION = 6.0  # what a broker allows unless it is told otherwise (group.min.session.timeout.ms)
_MOST_SESSION = 80.0  # above, aiokafka would wait longer for a heartbeat's answer than for any other


def load_stream(path: str | Path) -> Stream:
    """Read and check a spec file.

    Raises:
        SetupError: ``BAD_SPEC``, with the file, the key, and what is allowed there.
    """
    return _stream(table_of(path))


def table_of(path: str | Path) -> Table:
    """The top of a spec file, of whatever it is a spec.

    Raises:
        SetupError: ``BAD_SPEC``, it cannot be read.
    """
    file = Path(path)
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise SetupError(f"{file}: cannot be read: {error.strerror}", code="BAD_SPEC") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SetupError(f"{file}: is no TOML: {error}", code="BAD_SPEC") from None
    return Table(file, "", values)


def _stream(table: Table) -> Stream:
    name = name_of(table)
    engine = table.choice("engine", ("pipe", "faust"), "pipe")
    service = service_of(table.table("service"))
    records = _BATCH if engine == "faust" else _BATCH_TO_SERVICE if service.address else _BATCH_INSIDE
    stream = Stream(
        name=name,
        source=_source(table.table("source")),
        service=service,
        sink=_sink(table.table("sink")),
        dead_letter=dead_letter_of(table.table("dead_letter"), name),
        engine=engine,
        guarantee=table.choice("guarantee", ("at_least_once", "exactly_once"), "at_least_once"),
        batch=batch_of(table.table("batch"), records=records),
        kafka=kafka_of(table.table("kafka"), name),
    )
    table.close()
    _agree(table, stream)
    return stream


def name_of(table: Table) -> str:
    """The name under ``name``."""
    name = table.text("name")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise table.error("name", f"is {name!r}; allowed are 1 to 64 letters, digits, dots, dashes and underscores")
    return name


def _source(table: Table) -> Source:
    format_ = Kind(table.choice("format", _KINDS))
    features = tuple(_pointer(table, "features", text) for text in table.texts("features"))
    base64 = table.choice("encoding", ("raw", "base64"), "raw") == "base64"
    if base64 and format_ is not Kind.BIN_DATA:
        raise table.error("encoding", f"is base64, which only {Kind.BIN_DATA} knows, not {format_}")
    if len(features) > 1 and format_ is not Kind.NDARRAY:
        raise table.error("features", f"names several columns, so format is {Kind.NDARRAY}, not {format_}")
    names = table.texts("names") or (tuple(each.keys[-1] for each in features) if len(features) > 1 else ())
    source = Source(
        topic=topic_of(table),
        format=format_,
        base64=base64,
        features=features,
        names=names,
        start=table.choice("start", ("earliest", "latest"), "earliest"),
        on_null=table.choice("on_null", ("forward", "skip", "dead_letter"), "forward"),
    )
    table.close()
    return source


def service_of(table: Table) -> Service:
    """Who answers, from the table ``[service]``."""
    service = Service(
        address=table.text("address", ""),
        model=table.path("model"),
        deadline=table.seconds("deadline", 3.0, least=0.001, most=_LONGEST_DEADLINE),
        concurrency=table.whole("concurrency", 16),
        token_env=table.text("token_env", ""),
        ca_file=table.path("ca_file"),
    )
    table.close()
    if bool(service.address) == bool(service.model):
        raise table.error("", "needs one of address (a service that runs) and model (a file to run in the worker)")
    return service


def _sink(table: Table) -> Sink:
    field = table.text("field", "")
    format_ = table.choice("format", _KINDS, "")
    sink = Sink(
        topic=topic_of(table),
        format=Kind(format_) if format_ else None,
        field=_pointer(table, "field", field) if field else None,
    )
    table.close()
    return sink


def dead_letter_of(table: Table, name: str) -> str:
    """The topic of the dead letters, from the table ``[dead_letter]``."""
    topic = topic_of(table, f"{name}-dead-letters")
    table.close()
    return topic


def batch_of(table: Table, *, records: int = _BATCH) -> Batch:
    """The batches, from the table ``[batch]``; ``records`` of them where it does not say."""
    batch = Batch(
        records=table.whole("records", records),
        rows=table.whole("rows", 2048),
        wait=table.seconds("wait", 0.0, least=0.0, most=_LONGEST_WAIT),
    )
    table.close()
    return batch


def kafka_of(table: Table, name: str) -> Kafka:
    """The broker, from the table ``[kafka]``."""
    kafka = Kafka(
        bootstrap=table.text("bootstrap", "127.0.0.1:9092"),
        group=table.text("group", f"penstock-{name}"),
        session_timeout=table.seconds("session_timeout", 8.0, least=_LEAST_SESSION, most=_MOST_SESSION),
        start_timeout=table.seconds("start_timeout", 30.0, least=0.1, most=3600.0),
        create_topics=table.flag("create_topics", default=True),
        partitions=table.whole("partitions", 1),
        security=_security(table.table("security")),
    )
    table.close()
    for server in kafka.bootstrap.split(","):
        host, colon, port = server.strip().rpartition(":")
        if not (host and colon and port.isdigit()):
            raise table.error("bootstrap", f"is host:port, several with commas, not {kafka.bootstrap!r}")
    return kafka


def _security(table: Table) -> Security:
    security = Security(
        protocol=table.choice("protocol", ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"), "PLAINTEXT"),
        mechanism=table.choice("mechanism", ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"), "PLAIN"),
        username=table.text("username", ""),
        password_env=table.text("password_env", ""),
        ca_file=table.path("ca_file"),
        cert_file=table.path("cert_file"),
        key_file=table.path("key_file"),
        key_password_env=table.text("key_password_env", ""),
    )
    if "password" in table:
        raise table.error("password", "would be a secret in a file; name an environment variable as password_env")
    table.close()
    if security.protocol.startswith("SASL") and not (security.username and security.password_env):
        raise table.error("", f"protocol {security.protocol} needs username and password_env")
    return security


def topic_of(table: Table, default: str | None = None) -> str:
    """The name under ``topic``."""
    topic = table.text("topic") if default is None else table.text("topic", default)
    if not _LEGAL_TOPIC.fullmatch(topic):
        raise table.error("topic", f"is {topic!r}; Kafka allows 1 to 249 letters, digits, dots, dashes, underscores")
    return topic


def _pointer(table: Table, key: str, text: str) -> Pointer:
    try:
        return Pointer.parse(text)
    except SetupError as error:
        raise table.error(key, error.message) from None


def _agree(table: Table, stream: Stream) -> None:
    """What no table can see alone."""
    if stream.engine == "faust" and stream.guarantee == "exactly_once":
        raise table.error(
            "guarantee",
            'is exactly_once, which engine "faust" cannot give: its output is outside of the transaction. '
            'Use engine = "pipe"',
        )
    topics = {"source": stream.source.topic, "sink": stream.sink.topic, "dead_letter": stream.dead_letter}
    for one, other in (("source", "sink"), ("source", "dead_letter"), ("sink", "dead_letter")):
        if topics[one] == topics[other]:
            raise table.error(f"{one} and {other}", f"have the same topic, {topics[one]!r}; they must differ")
    if stream.sink.field and not (stream.source.features or stream.source.format is Kind.JSON_DATA):
        raise table.error("sink.field", "needs a source of JSON objects: source.features, or jsonData as its format")
    if stream.sink.field and stream.sink.format is Kind.BIN_DATA:
        raise table.error("sink.field", "puts the answer into JSON, which has no binData; choose another format")
