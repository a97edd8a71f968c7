"""Users, rules and TLS, with a broker that insists on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest
import trustme

from penstock.deploy.mqtt import Security, broker
from penstock.proto import DeadlineExceeded, SetupError
from penstock.streams.mqtt import Client

from .conftest import listener, window

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Case, Serving

USERS = {"server": "s3cret", "alice": "a-word", "bob": "b-word"}


@dataclass(frozen=True)
class Files:
    """What a certificate authority has made."""

    ca: Path
    cert: Path
    key: Path
    client_cert: Path
    client_key: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("tls")
    made = Files(*(folder / f"{name}.pem" for name in ("ca", "cert", "key", "client-cert", "client-key")))
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(made.ca))
    for issued, cert, key in (
        (authority.issue_cert("127.0.0.1"), made.cert, made.key),
        (authority.issue_cert("somebody@example.org"), made.client_cert, made.client_key),
    ):
        issued.cert_chain_pems[0].write_to_path(str(cert))
        issued.private_key_pem.write_to_path(str(key))
    return made


@pytest.fixture
def passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    for user, password in USERS.items():
        monkeypatch.setenv(f"{user.upper()}_PASSWORD", password)


def as_user(user: str, password: str = "") -> dict[str, Any]:
    return {"username": user, "password_env": password or f"{user.upper()}_PASSWORD"}


def rules(name: str) -> list[str]:
    """Each tenant its own level, which is its user's name; the rules that docs/mqtt.md shows."""
    return [
        "user server",
        f"topic read {name}/in/+",
        f"topic write {name}/out/#",
        f"topic readwrite status/{name}/+",
        f"pattern write {name}/in/%u",
        f"pattern read {name}/out/%u",
        f"pattern read {name}/out/%u/#",
    ]


async def test_tenants_cannot_reach_each_other(mosquitto: None, passwords: None, case: Case, serving: Serving) -> None:
    with broker(security=Security(users=USERS, rules=rules(case.name))) as own:
        here = case.at(own.port)
        async with serving(here.settings(broker_service=as_user("server"))) as worker:
            async with Client(here.client_settings("alice", broker_service=as_user("alice"))) as client:
                assert (await client.ask(window())).error == ""
            with pytest.raises(SetupError, match=r"does not let us listen|does not let us ask"):
                async with Client(here.client_settings("alice", broker_service=as_user("bob"), deadline=1)) as client:
                    await client.ask(window())
            async with listener(own.port, username="bob", password="b-word") as bob:
                await bob.listen(here.replies("bob"), f"{here.replies('bob')}/#")
                # Its own request topic, but the other one's reply topic: told to bob, and never to alice.
                await bob.send(here.requests("bob"), window(), ResponseTopic=here.replies("alice"))
                await bob.until(1)
                assert bob.payloads[0]["error"]["code"] == "REPLY_TOPIC"
            assert worker.metrics.totals()["requests"] == 2


async def test_a_wrong_password_is_told_at_once(
    mosquitto: None, passwords: None, case: Case, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG", "wrong")
    with broker(security=Security(users=USERS)) as own:
        here = case.at(own.port)
        for login in (as_user("server", "WRONG"), {"username": None, "password_env": None}):
            with pytest.raises(SetupError, match="refuses us") as refused:
                async with serving(here.settings(broker_service=login)):
                    pass
            assert "wrong" not in refused.value.message
        with pytest.raises(SetupError, match="refuses us"):
            async with Client(here.client_settings(broker_service=as_user("alice", "WRONG"))):
                pass
        with pytest.raises(SetupError, match="NOT_THERE"):
            async with serving(here.settings(broker_service=as_user("server", "NOT_THERE"))):
                pass
        old = {"protocol": "3.1.1", **as_user("server", "WRONG")}
        with pytest.raises(SetupError, match="refuses us"):
            async with serving(here.settings(broker_service=old)):
                pass


async def test_tls_with_certificates_on_both_sides(
    mosquitto: None, files: Files, case: Case, serving: Serving, tmp_path: Path
) -> None:
    security = Security(files.cert, files.key, client_ca_file=files.ca)
    full = {"ca_file": str(files.ca), "cert_file": str(files.client_cert), "key_file": str(files.client_key)}
    with broker(security=security) as own:
        here = case.at(own.port)
        async with (
            serving(here.settings(broker_service={"tls": full})),
            Client(here.client_settings(broker_service={"tls": full})) as client,
        ):
            assert (await client.ask(window())).error == ""
        for tls in ({"ca_file": str(files.ca)}, {}):  # no certificate of our own; an authority that we do not trust
            with pytest.raises(SetupError, match=r"no connection|no broker"):
                async with serving(here.settings(broker_service={"tls": tls, "start_timeout": 0.1})):
                    pass
        with pytest.raises(SetupError, match="no broker"):  # no TLS at all
            async with Client(here.client_settings(broker_service={"start_timeout": 2})):
                pass


async def test_replies_that_the_broker_refuses_do_not_hold_up_others(
    mosquitto: None, passwords: None, case: Case, serving: Serving
) -> None:
    allowed = [*rules(case.name), "user server", f"topic deny {case.name}/out/alice"]
    with broker(security=Security(users=USERS, rules=allowed)) as own:
        here = case.at(own.port)
        async with serving(here.settings(broker_service=as_user("server"), in_flight=2)) as worker:
            async with Client(
                here.client_settings("alice", broker_service=as_user("alice"), deadline=1, attempts=3)
            ) as client:
                with pytest.raises(DeadlineExceeded):
                    await client.ask(window())
            async with Client(here.client_settings("bob", broker_service=as_user("bob"))) as client:
                assert (await client.ask(window())).error == ""
            assert worker.metrics.refused._value.get() == 3


async def test_amqtt_is_enough_to_try_with(case: Case, serving: Serving) -> None:
    """No mosquitto needed: MQTT 3.1.1, one worker, the id in the request."""
    with broker(kind="amqtt") as own:
        assert "no shared subscriptions" in own.lacks
        here = case.at(own.port)
        old = {"protocol": "3.1.1"}
        settings = here.settings(broker_service=old, shared=False, request={"id": "id"})
        async with serving(settings), Client(here.client_settings(broker_service=old, id_field="id")) as client:
            reply = await client.ask(window())
            assert b'"LSTM": 7.875' in reply.payload
            with pytest.raises(aiomqtt.MqttError):
                async with listener(own.port):  # which would be MQTT 5
                    pass
