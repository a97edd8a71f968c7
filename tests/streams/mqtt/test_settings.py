"""What server.json and client.json may say, and what topics may be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from penstock.proto import Kind, SetupError
from penstock.streams.mqtt import load_client, load_server
from penstock.streams.mqtt.topics import Pair, Tenant, may_reply_to

if TYPE_CHECKING:
    from .conftest import Case

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples"


def test_the_tutorials_files_mean_what_they_mean_there(case: Case) -> None:
    server = case.settings(queue_info={"in_queue": "outqueue/lstm", "out_queue": "inqueue/lstm"})
    client = case.client_settings(queue_info={"in_queue": "inqueue/lstm", "out_queue": "outqueue/lstm"})
    assert server.pairs == (Pair("inqueue/lstm", "outqueue/lstm"),) == (client.pair,)
    assert (server.id, server.models[0].name, server.broker.keepalive) == (case.name, "LSTM", 60)
    assert [str(pointer) for pointer in server.source.features] == [f"/norm_{number}" for number in range(1, 7)]
    assert (server.reply, server.share, server.broker.protocol) == (None, f"penstock-{case.name}", 5)


def test_the_examples_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mqtt-server.json", "mqtt-client.json"):
        text = (EXAMPLES / name).read_text()
        (tmp_path / name).write_text(text)
        for key in ("path", "ca_file"):
            for file in _values(json.loads(text), key):
                (tmp_path / file).touch()
    server, client = load_server(tmp_path / "mqtt-server.json"), load_client(tmp_path / "mqtt-client.json")
    tenant = server.pairs[0].tenant(client.pair.requests)
    assert tenant is not None
    assert tenant.replies == client.pair.replies


def _values(value: Any, key: str) -> list[str]:
    if isinstance(value, dict):
        return [found for name, each in value.items() for found in ([each] if name == key else _values(each, key))]
    return [found for each in value for found in _values(each, key)] if isinstance(value, list) else []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"client_info": {"id": "a/b"}}, "client_info.id is 'a/b'"),
        ({"client_info": {"id": None}}, "client_info.id is missing"),
        ({"broker_service": {"broker": "AMQP"}}, "broker_service.broker is 'AMQP'"),
        ({"broker_service": {"url": "mqtt://there"}}, "broker_service.url is a host name"),
        ({"broker_service": {"password": "x"}}, "name an environment variable as password_env"),
        ({"broker_service": {"password_env": "X"}}, "password_env needs username"),
        ({"broker_service": {"protocol": "4"}}, "allowed are 5, 3.1.1"),
        ({"broker_service": {"tls": {"ca_file": "nowhere.pem"}}}, "there is no"),
        ({"queue_info": {"in_queue": "a/+", "out_queue": "b"}}, "both have + for the tenant"),
        ({"queue_info": {"in_queue": "a", "out_queue": "a"}}, "they must differ"),
        ({"queue_info": {"in_queue": "a/#", "out_queue": "b/#"}}, "one whole level may be +"),
        ({"queue_info": {"in_queue": "$SYS/a", "out_queue": "b"}}, "belongs to the broker"),
        ({"queue_info": []}, "queue_info is a table"),
        ({"model": {"path": None}}, "needs one of path"),
        ({"model": {"name": None}}, "model.name is missing"),
        ({"model": [{"name": "A", "address": "grpc://x:1"}, {"address": "grpc://x:1"}]}, "model[1].name is missing"),
        ({"model": [{"name": "A", "address": "grpc://x:1"}] * 2}, "has a name twice"),
        ({"request": {"format": "binData", "features": ["a", "b"]}}, "names several columns"),
        ({"request": {"format": "ndarray", "id": "id"}}, "needs features"),
        ({"request": {"id": "id"}, "reply": {"format": "ndarray"}}, "needs replies of the form forecast"),
        ({"reply": {"format": "picture"}}, "allowed are forecast, "),
        ({"models": {}}, "models is not a key here"),
    ],
)
def test_what_is_wrong_in_a_server_file_is_told(case: Case, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(SetupError) as wrong:
        case.settings(**changes)
    assert told in wrong.value.message
    assert wrong.value.message.startswith(str(case.folder / "server.json"))


def test_what_is_wrong_in_a_client_file_is_told(case: Case) -> None:
    with pytest.raises(SetupError, match="a client is one tenant"):
        case.client_settings(queue_info={"in_queue": "in/+", "out_queue": "out/+"})
    file = case.folder / "list.json"
    for text, told in (("[]", "is a JSON object"), ("{", "is no JSON")):
        file.write_text(text)
        with pytest.raises(SetupError, match=told):
            load_client(file)


def test_several_models_and_other_forms(case: Case) -> None:
    models = [{"name": name, "address": "grpc://127.0.0.1:5000"} for name in ("LSTM", "ANN")]
    assert [model.name for model in case.settings(model=models).models] == ["LSTM", "ANN"]
    one = case.settings(request={"format": "tftensor"}, reply={"format": "tensor"})
    assert (one.source.features, one.source.format, one.reply) == ((), Kind.TFTENSOR, Kind.TENSOR)


@pytest.mark.parametrize(
    ("pair", "topic", "tenant"),
    [
        (("in/+", "out/+"), "in/a", Tenant("a", "out/a")),
        (("in/+/x", "+/out"), "in/ü/x", Tenant("ü", "ü/out")),
        (("in/+", "out/+"), "in/", Tenant("", "out/")),
        (("in/+", "out/+"), "in/a/b", None),
        (("in/+", "out/+"), "other/a", None),
        (("in", "out"), "in", Tenant("in", "out")),
    ],
)
def test_a_tenant_is_one_level_of_the_topic(pair: tuple[str, str], topic: str, tenant: Tenant | None) -> None:
    assert Pair(*pair).tenant(topic) == tenant


@pytest.mark.parametrize(
    ("topic", "may"), [("out/a", True), ("out/a/x", True), ("out/ab", False), ("out", False), ("out/a/+", False)]
)
def test_a_reply_stays_with_its_tenant(topic: str, may: bool) -> None:
    assert may_reply_to(Tenant("a", "out/a"), topic) is may
