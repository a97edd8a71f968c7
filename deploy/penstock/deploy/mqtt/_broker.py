"""One broker and its files: started, killed, started again."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import psutil

from penstock.deploy.mqtt import _amqtt, _mosquitto
from penstock.deploy.mqtt._probe import serves
from penstock.deploy.ports import LOOPBACK
from penstock.deploy.processes import ended, start, stop
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.deploy.mqtt._mosquitto import Security

STOP_GRACE = 10.0
_START_TIMEOUT = 30.0  # mosquitto takes 50 ms, amqtt a second
_INSTALL = "install mosquitto (apt-get install mosquitto, brew install mosquitto), or pip install 'penstock[demo]'"


class Broker:
    """A broker on 127.0.0.1 with its files in one folder.

    Attributes:
        folder: where its files are; sessions, too, where it is mosquitto.
        port: where clients connect.
        kind: ``mosquitto`` or ``amqtt``.
        lacks: what this broker cannot do, in one line; empty where nothing is missing.
    """

    def __init__(self, folder: Path, port: int, security: Security, kind: str = "") -> None:
        self.folder = folder
        self.port = port
        self.kind = kind or _first_there()
        self.lacks = _amqtt.LACKS if self.kind == "amqtt" else ""
        self._security = security
        self._under: Sequence[str] = ()
        self._process: psutil.Process | None = None

    @property
    def address(self) -> str:
        """``127.0.0.1:port``."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def log(self) -> Path:
        """What the broker has to say."""
        return self.folder / "broker.log"

    def process(self) -> psutil.Process | None:
        """The process that serves, or the one that keeps it; None when there is none."""
        return self._process if self._process and not ended(self._process) else None

    def up(self, *, under: Sequence[str] | None = None, timeout: float = _START_TIMEOUT) -> None:
        """Start it, and return when it takes connections.

        Args:
            under: a command that runs the broker's command, see `penstock.deploy.tether`; by default that of before.
            timeout: seconds.

        Raises:
            SetupError: it did not start; the message has the end of its log.
        """
        self._under = self._under if under is None else under
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [*self._under, *self._command()]
        self._process = start(command, folder=self.folder, output=self.log, environment=dict(os.environ))
        deadline = time.monotonic() + timeout
        while not serves(self.port, tls=self._security.cert_file is not None):
            if ended(self._process):
                raise self._failure("ended while it started")
            if time.monotonic() > deadline:
                stop(self._process, grace=STOP_GRACE)
                raise self._failure(f"does not answer at {self.address} after {timeout:g} s")
            time.sleep(0.02)

    def down(self) -> None:
        """Stop it; mosquitto writes its sessions down first."""
        if process := self.process():
            stop(process, grace=STOP_GRACE)

    def kill(self) -> None:
        """End it as a power cut would: with SIGKILL."""
        if process := self.process():
            all_of_it = (*process.children(recursive=True), process)
            for each in all_of_it:
                each.kill()
            psutil.wait_procs(all_of_it, timeout=STOP_GRACE)

    def _command(self) -> list[str]:
        if self.kind == "mosquitto":
            _mosquitto.write_files(self.folder, self.port, self._security)
            return _mosquitto.command(self.folder)
        if self._security.users or self._security.rules or self._security.cert_file:
            raise SetupError("the local amqtt has no TLS, users and rules; install mosquitto", code="NO_BROKER")
        return _amqtt.command(self.port)

    def _failure(self, what: str) -> SetupError:
        lines = self.log.read_text(errors="replace").splitlines()[-8:] if self.log.exists() else []
        return SetupError(f"{self.kind} {what}: " + (" | ".join(lines) or "it said nothing"), code="BROKER_FAILED")


def _first_there() -> str:
    if _mosquitto.found():
        return "mosquitto"
    if _amqtt.found():
        return "amqtt"
    raise SetupError(f"there is no MQTT broker on this machine: {_INSTALL}", code="NO_BROKER")
