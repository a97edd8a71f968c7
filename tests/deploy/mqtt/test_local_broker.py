"""A broker for as long as it is used."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from penstock.deploy.mqtt import Security, broker
from penstock.deploy.mqtt import _mosquitto as files
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path

BORROW = """
import time
from penstock.deploy.mqtt import broker
with broker() as running:
    print(running.port, running.process().pid, running.folder, flush=True)
    time.sleep(120)
"""


@pytest.fixture
def mosquitto() -> None:
    if not files.found():
        assert "CI" not in os.environ, "CI has to have mosquitto: these tests must not be skipped there"
        pytest.skip("mosquitto is not installed")


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("kind", ["mosquitto", "amqtt"])
def test_it_is_gone_afterwards(kind: str, request: pytest.FixtureRequest) -> None:
    if kind == "mosquitto":
        request.getfixturevalue("mosquitto")
    with broker(kind=kind) as running:
        assert listens(running.port)
        assert (running.kind, bool(running.lacks)) == (kind, kind == "amqtt")
        running.kill()
        assert not listens(running.port)
        assert running.process() is None
        running.up()
        assert listens(running.port)
    assert not listens(running.port)
    assert not running.folder.exists()


def test_it_is_gone_when_its_user_is_killed(mosquitto: None) -> None:
    with subprocess.Popen([sys.executable, "-c", BORROW], stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout is not None
        port, pid, folder = user.stdout.readline().split(maxsplit=2)
        assert listens(int(port))
        user.send_signal(signal.SIGKILL)
    ends = time.monotonic() + 90
    while psutil.pid_exists(int(pid)) or listens(int(port)) or os.path.exists(folder.strip()):  # noqa: PTH110
        assert time.monotonic() < ends, "the broker outlived its user"
        time.sleep(0.05)


def test_passwords_are_hashed_and_private(mosquitto: None) -> None:
    with broker(security=Security(users={"anna": "s3cret"}, rules=["user anna", "topic read #"])) as running:
        passwords = running.folder / "passwords"
        assert "s3cret" not in passwords.read_text()
        assert passwords.stat().st_mode & 0o077 == 0
        process = running.process()
        assert process is not None
        assert "s3cret" not in " ".join(" ".join(each.cmdline()) for each in (process, *process.children()))


def test_a_start_that_fails_tells_why(mosquitto: None, tmp_path: Path) -> None:
    security = Security(cert_file=tmp_path / "no.pem", key_file=tmp_path / "no.pem")
    with pytest.raises(SetupError, match=r"mosquitto ended while it started: .*no.pem"), broker(security=security):
        pass


def test_a_port_that_is_taken_is_told(mosquitto: None) -> None:
    with broker() as running, pytest.raises(SetupError, match=f"port {running.port}"), broker(port=running.port):
        pass


def test_amqtt_has_no_security() -> None:
    with (
        pytest.raises(SetupError, match="install mosquitto"),
        broker(kind="amqtt", security=Security(users={"a": "b"})),
    ):
        pass


def test_mosquitto_is_found_where_users_paths_do_not_look(mosquitto: None, monkeypatch: pytest.MonkeyPatch) -> None:
    where = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    monkeypatch.setenv("PATH", "/nowhere")
    assert where is None or not where.startswith("/usr/sbin") or files.found() == where
