"""``server.json`` and ``client.json``, read and checked.

The keys are those of the serving tutorial whose files people have (``client_info``, ``broker_service``, ``queue_info``,
``model``). There, ``in_queue`` is where the owner of the file publishes, and ``out_queue`` where it listens, so that
the two files of one service say the opposite of each other; ``requests`` and ``replies`` mean the same in both.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from penstock.proto import Kind, SetupError
from penstock.streams.pointers import Pointer
from penstock.streams.spec import Service, Source
from penstock.streams.spec_file import batch_of
from penstock.streams.spec_table import Table

from .settings import BrokerService, ClientSettings, ServedModel, ServerSettings, Tls
from .topics import Pair

_KINDS = tuple(Kind)
_FORECAST = "forecast"
# What the tutorial's client sends: the last six values, oldest first, normalised.
_WINDOW = tuple(f"norm_{number}" for number in range(1, 7))
_PROTOCOLS = {"5": 5, "3.1.1": 4}
_LEGAL_ID = 1, 200


def load_server(path: str | Path) -> ServerSettings:
    """Read and check ``server.json``.

    Raises:
        SetupError: ``BAD_SPEC``, with the file, the key, and what is allowed there.
    """
    file, values = _read(path)
    models = tuple(_model(each) for each in _several(file, values, "model"))
    pairs = tuple(_pair(each, role="server") for each in _several(file, values, "queue_info"))
    table = Table(file, "", values)
    name = _id(table)
    source, id_field = _request(table.table("request"))
    settings = ServerSettings(
        id=name,
        broker=_broker(table.table("broker_service")),
        pairs=pairs,
        models=models,
        source=source,
        id_field=id_field,
        reply=_reply(table.table("reply"), models),
        share=table.text("share", f"penstock-{name}") if table.flag("shared", default=True) else "",
        batch=batch_of(table.table("batch")),
        in_flight=table.whole("in_flight", 512),
        max_bytes=table.whole("max_bytes", 1 << 20),
        remember=table.whole("remember", 10_000),
        drain=table.seconds("drain", 10.0, least=0.0, most=3600.0),
        status_topic=table.text("status_topic", f"status/{name}"),
    )
    table.close()
    if id_field and settings.reply is not None:
        raise table.error("request.id", f"needs replies of the form {_FORECAST}, which have room for it")
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        raise table.error("model", f"has a name twice: {', '.join(names)}; each is a key of the reply")
    return settings


def load_client(path: str | Path) -> ClientSettings:
    """Read and check ``client.json``.

    Raises:
        SetupError: ``BAD_SPEC``, with the file, the key, and what is allowed there.
    """
    file, values = _read(path)
    table = Table(file, "", values)
    settings = ClientSettings(
        id=_id(table),
        broker=_broker(table.table("broker_service")),
        pair=_pair(table.table("queue_info"), role="client"),
        id_field=table.text("id_field", ""),
        deadline=table.seconds("deadline", 10.0, least=0.01, most=3600.0),
        attempts=table.whole("attempts", 3),
        concurrency=table.whole("concurrency", 16),
    )
    table.close()
    if "+" in settings.pair.requests:
        raise table.error("queue_info", "is a pair of topics without +: a client is one tenant")
    return settings


def _read(path: str | Path) -> tuple[Path, dict[str, Any]]:
    file = Path(path)
    try:
        values = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise SetupError(f"{file}: cannot be read: {error.strerror}", code="BAD_SPEC") from None
    except ValueError as error:
        raise SetupError(f"{file}: is no JSON: {error}", code="BAD_SPEC") from None
    if not isinstance(values, dict):
        raise SetupError(f"{file}: is a JSON object", code="BAD_SPEC")
    return file, values


def _several(file: Path, values: dict[str, Any], key: str) -> list[Table]:
    """The tables under a key that holds one or a list of them, taken out of ``values``."""
    found = values.pop(key, {})
    if not isinstance(found, list) or not found:
        return [Table(file, key, found)]
    return [Table(file, f"{key}[{number}]", each) for number, each in enumerate(found)]


def _id(table: Table) -> str:
    info = table.table("client_info")
    name = info.text("id")
    info.text("roles", "")
    info.close()
    if not _LEGAL_ID[0] <= len(name) <= _LEGAL_ID[1] or set(name) & set("/+#$"):
        raise info.error("id", f"is {name!r:.60}; allowed are 1 to 200 characters but / + # $")
    return name


def _broker(table: Table) -> BrokerService:
    kind = table.text("broker", "MQTT")
    if kind.upper() != "MQTT":
        raise table.error("broker", f"is {kind!r}; this is the door for MQTT")
    tls = _tls(table) if "tls" in table else None
    broker = BrokerService(
        host=table.text("url", "127.0.0.1"),
        port=table.whole("port", 1883 if tls is None else 8883),
        keepalive=table.whole("keepalive", 60),
        protocol=_PROTOCOLS[table.choice("protocol", tuple(_PROTOCOLS), "5")],
        username=table.text("username", ""),
        password_env=table.text("password_env", ""),
        tls=tls,
        start_timeout=table.seconds("start_timeout", 30.0, least=0.1, most=3600.0),
        session_expiry=table.whole("session_expiry", 3600, least=0),
    )
    if "password" in table:
        raise table.error("password", "would be a secret in a file; name an environment variable as password_env")
    table.close()
    if "://" in broker.host:
        raise table.error("url", f"is a host name, not {broker.host!r}; TLS is told by the key tls")
    if broker.password_env and not broker.username:
        raise table.error("password_env", "needs username, too")
    return broker


def _tls(table: Table) -> Tls:
    inner = table.table("tls")
    tls = Tls(
        ca_file=inner.path("ca_file"),
        cert_file=inner.path("cert_file"),
        key_file=inner.path("key_file"),
        key_password_env=inner.text("key_password_env", ""),
    )
    inner.close()
    return tls


def _pair(table: Table, *, role: str) -> Pair:
    """The topics of a pair; the tutorial's names are read from the side of the file's owner."""
    table.text("roles", "")
    if "in_queue" in table or "out_queue" in table:
        published, heard = table.text("in_queue"), table.text("out_queue")
        requests, replies = (published, heard) if role == "client" else (heard, published)
    else:
        requests, replies = table.text("requests"), table.text("replies")
    table.close()
    try:
        return Pair(requests, replies)
    except SetupError as error:
        raise table.error("", f"is wrong: {error.message}") from None


def _model(table: Table) -> ServedModel:
    service = Service(
        address=table.text("address", ""),
        model=table.path("path"),
        deadline=table.seconds("deadline", 3.0, least=0.001, most=3600.0),
        concurrency=table.whole("concurrency", 16),
        token_env=table.text("token_env", ""),
        ca_file=table.path("ca_file"),
    )
    model = ServedModel(table.text("name"), service)
    table.close()
    if bool(service.address) == bool(service.model):
        raise table.error("", "needs one of path (a file to run in the worker) and address (a service that runs)")
    return model


def _request(table: Table) -> tuple[Source, str]:
    whole = "format" in table and "features" not in table
    format_ = Kind(table.choice("format", _KINDS, Kind.NDARRAY))
    features = () if whole else (table.texts("features") or _WINDOW)
    if len(features) > 1 and format_ is not Kind.NDARRAY:
        raise table.error("features", f"names several columns, so format is {Kind.NDARRAY}, not {format_}")
    pointers = tuple(_pointer(table, "features", text) for text in features)
    base64 = table.choice("encoding", ("raw", "base64"), "raw") == "base64"
    if base64 and format_ is not Kind.BIN_DATA:
        raise table.error("encoding", f"is base64, which only {Kind.BIN_DATA} knows, not {format_}")
    names = table.texts("names")
    id_field = table.text("id", "")
    table.close()
    if id_field and not pointers:
        raise table.error("id", "needs features, which are in a JSON object beside it")
    return Source("requests", format_, base64=base64, features=pointers, names=names), id_field


def _reply(table: Table, models: tuple[ServedModel, ...]) -> Kind | None:
    text = table.choice("format", (_FORECAST, *_KINDS), _FORECAST)
    table.close()
    if text == _FORECAST:
        return None
    if len(models) > 1:
        raise table.error("format", f"is {text}, which has room for one model; for several it is {_FORECAST}")
    return Kind(text)


def _pointer(table: Table, key: str, text: str) -> Pointer:
    try:
        return Pointer.parse(text)
    except SetupError as error:
        raise table.error(key, error.message) from None
