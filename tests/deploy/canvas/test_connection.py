"""A connection, without a NiFi: addresses, logins, failures, and nothing of nipyapi's left in the process."""

from __future__ import annotations

import http.client
import logging
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from penstock.deploy.canvas import DEFAULT_ADDRESS, Connection, Login, connect
from penstock.deploy.ports import free_port
from penstock.proto.errors import DeadlineExceeded, SetupError, Unavailable


@pytest.mark.parametrize(
    ("written", "base"),
    [
        ("http://host:8080", "http://host:8080"),
        ("host:8080", "http://host:8080"),
        ("http://host:8080/", "http://host:8080"),
        ("http://host:8080/nifi", "http://host:8080"),
        ("http://host:8080/nifi/", "http://host:8080"),
        ("https://host/nifi-api", "https://host"),
        ("https://host:8443/nifi/#/process-groups/root", "https://host:8443"),
        ("https://proxy/team-a/nifi", "https://proxy/team-a"),
        ("http://[::1]:8080/nifi-api/", "http://[::1]:8080"),
        ("  127.0.0.1:18080 ", "http://127.0.0.1:18080"),
    ],
)
def test_every_form_of_an_address_leads_to_the_same_nifi(written: str, base: str) -> None:
    assert Connection(written).address == base
    assert Connection(written).canvas_of("id") == f"{base}/nifi/#/process-groups/id"


@pytest.mark.parametrize(
    "written", ["", "ftp://host", "http://", "http://host:99999", "http://host:0", "http://h/?a=1"]
)
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(SetupError, match="not an address of a NiFi"):
        Connection(written)


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(SetupError) as caught:
        Connection("https://me:hunter2@host")
    assert "hunter2" not in caught.value.message


def test_the_address_and_the_login_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PENSTOCK_NIFI_ADDRESS", raising=False)
    assert connect().address == DEFAULT_ADDRESS
    monkeypatch.setenv("PENSTOCK_NIFI_ADDRESS", "https://host:8443/nifi")
    monkeypatch.setenv("PENSTOCK_NIFI_USER", "me")
    monkeypatch.setenv("PENSTOCK_NIFI_PASSWORD", "hunter2")
    monkeypatch.setenv("PENSTOCK_NIFI_CA_FILE", str(tmp_path / "ca.pem"))
    found = connect()
    assert found.address == "https://host:8443"
    assert found.login == Login(user="me", password="hunter2", ca_file=tmp_path / "ca.pem")
    assert connect("https://other").address == "https://other"


@pytest.mark.parametrize(
    ("login", "words"),
    [
        ({"user": "me"}, "PENSTOCK_NIFI_PASSWORD"),
        ({"password": "x"}, "both user and password"),
        ({"user": "me", "password": "x", "token": "t"}, "not with both"),
        ({"key": Path("k.pem")}, "not the certificate"),
    ],
)
def test_half_a_login_is_refused(login: dict[str, Any], words: str) -> None:
    with pytest.raises(SetupError, match=words):
        Login(**login)


def test_a_user_that_is_named_comes_before_a_token_of_the_environment() -> None:
    environment = {"PENSTOCK_NIFI_TOKEN": "t", "PENSTOCK_NIFI_PASSWORD": "p"}
    assert Login.from_environment(environment, user="me") == Login(user="me", password="p")
    assert Login.from_environment(environment) == Login(token="t")


def test_secrets_are_not_shown() -> None:
    shown = repr(Login(user="me", password="hunter2")) + repr(Login(token="t0ken", key_password="pw"))
    assert not any(secret in shown for secret in ("hunter2", "t0ken", "pw"))


@pytest.mark.parametrize("login", [Login(token="t0ken"), Login(user="me", password="hunter2")])
def test_no_login_goes_over_plain_http(login: Login) -> None:
    with pytest.raises(SetupError, match="over https only"):
        Connection("http://127.0.0.1:18080", login)


def test_files_that_are_not_there_or_locked_are_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"cannot use the CA file .*none\.pem: No such file"):
        Connection("https://127.0.0.1:1", Login(ca_file=tmp_path / "none.pem")).version()
    issued = trustme.CA().issue_cert("me@example.org")
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"right")
    )
    (tmp_path / "key.pem").write_bytes(locked)
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    login: dict[str, Any] = {"certificate": tmp_path / "cert.pem", "key": tmp_path / "key.pem"}
    with pytest.raises(SetupError, match="PENSTOCK_NIFI_KEY_PASSWORD"):
        Login(**login).tls()
    with pytest.raises(SetupError, match="key or password does not fit") as caught:
        Login(**login, key_password="wr0ng").tls()
    assert "wr0ng" not in caught.value.message
    Login(**login, key_password="right").tls()


def test_nobody_there_is_told_at_once() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unavailable, match=f"no NiFi answers at {address}"):
        Connection(address).version()


def test_a_server_that_never_answers_is_given_up() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(DeadlineExceeded, match="took too long"):
            Connection(address, timeout=0.2).version()


def test_nipyapi_leaves_no_loggers_and_no_noise_behind() -> None:
    assert Connection("http://127.0.0.1:1").client is not None
    for name in ("urllib3", "nifi", "nipyapi"):
        handlers = logging.getLogger(name).handlers
        assert all(isinstance(each, logging.NullHandler) for each in handlers)
    assert logging.getLogger("urllib3").level == logging.NOTSET
    assert http.client.HTTPConnection.debuglevel == 0


def test_two_connections_keep_to_themselves() -> None:
    import nipyapi  # type: ignore[import-untyped]

    one, two = Connection("http://127.0.0.1:1"), Connection("https://127.0.0.1:2", Login(token="t0ken"))
    before = (nipyapi.config.nifi_config.host, nipyapi.config.nifi_config.api_client)
    with one.nipyapi() as outer:
        assert outer.config.nifi_config.api_client is one.client
        with two.nipyapi() as inner:
            assert inner.config.nifi_config.host == "https://127.0.0.1:2/nifi-api"
        assert outer.config.nifi_config.host == "http://127.0.0.1:1/nifi-api"
    with pytest.raises(Unavailable), one.nipyapi() as api:
        api.canvas.get_root_pg_id()
    assert (nipyapi.config.nifi_config.host, nipyapi.config.nifi_config.api_client) == before
    assert not nipyapi.config.nifi_config.api_key
