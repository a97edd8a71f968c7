"""One local broker, known by its folder: start it, ask for it, stop it, from any process.

1. Who starts or stops a broker holds the lock in its folder.
2. Pinned jars and a Java are found or fetched; the storage is formatted when it is new.
3. The process is started in a session of its own and recorded at once, so that it can be found if we are killed.
4. It is up when it answers with the id of the cluster in the folder, so a stranger on the port is not taken for it.
5. A start that fails leaves no process; the error shows the end of the broker's log.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from penstock.deploy.artifacts import fetch
from penstock.deploy.folders import RESOURCES, data_folder
from penstock.deploy.java import find_java
from penstock.deploy.kafka._command import broker_command, java_environment
from penstock.deploy.kafka._probe import cluster_at
from penstock.deploy.kafka._record import NAME, Record, mark
from penstock.deploy.kafka._storage import format_storage, write_settings
from penstock.deploy.locks import alone
from penstock.deploy.pins import read_pins
from penstock.deploy.ports import LOOPBACK, free_port, usable_port
from penstock.deploy.processes import ended, start, stop
from penstock.deploy.progress import during
from penstock.deploy.records import forget_record, read_record, write_record
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import psutil
    from rich.console import Console

    from penstock.deploy.java import Java

DEFAULT_PORT = 19092  # not Kafka's 9092, which another broker on the machine may have
START_TIMEOUT = 120.0  # a start takes 2 s on an idle machine, and was seen to take 19 s on a busy one
STOP_GRACE = 20.0
JAVA = 17  # what Kafka 4 needs for a broker
PINS = RESOURCES / "kafka.toml"

State = Literal["running", "not answering", "stopped", "died"]


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """What is known of a broker now.

    Attributes:
        state: ``running``; ``not answering``: the process is there, but starts or hangs; ``stopped``;
            ``died``: it ended without being told to.
        address: ``127.0.0.1:port`` for clients; empty when there is no process.
        pid: of the process; None when there is none.
        uptime: seconds since the process started.
        version: of Kafka; empty when there is no process.
        data: the folder with topics, settings and logs.
        log: the broker's log, whether it is there or not.
    """

    state: State
    address: str
    pid: int | None
    uptime: float
    version: str
    data: Path
    log: Path


class Broker:
    """A single Kafka node on 127.0.0.1, with its files in one folder.

    Args:
        folder: where its files are; by default ``kafka/default`` in Penstock's part of the user's data folder.
        console: where the progress of a download is shown; by default nowhere.
    """

    def __init__(self, folder: Path | None = None, *, console: Console | None = None) -> None:
        self.folder = (folder or data_folder("kafka", "default")).expanduser().absolute()
        self._console = console
        self._under: Sequence[str] = ()

    @property
    def address(self) -> str:
        """``127.0.0.1:port``, for clients.

        Raises:
            SetupError: there is no broker.
        """
        status = self.status()
        if not status.address:
            raise SetupError(f"the broker in {self.folder} is not running", code="BROKER_DOWN")
        return status.address

    def process(self) -> psutil.Process | None:
        """The process that serves, or starts; None when there is none."""
        record = self._record()
        return record.process(self.folder) if record else None

    def status(self) -> BrokerStatus:
        """Look for the process and ask the broker; takes up to 2 s where it hangs."""
        record, process = self._record(), self.process()
        log = self.folder / "broker.log"
        if record is None or process is None:
            return BrokerStatus("died" if record else "stopped", "", None, 0.0, "", self.folder, log)
        state: State = "running" if cluster_at(record.port) == record.cluster else "not answering"
        uptime = max(0.0, time.time() - record.created)
        address = f"{LOOPBACK}:{record.port}"
        return BrokerStatus(state, address, record.pid, uptime, record.version, self.folder, log)

    def up(self, port: int | None = None, *, timeout: float = START_TIMEOUT, under: Sequence[str] = ()) -> BrokerStatus:
        """Start the broker, unless it runs; return when it serves.

        Args:
            port: where clients connect; 0 takes a free one. By default that of the running broker, else 19092.
            timeout: seconds from the start of the process until it serves; downloads are not counted.
            under: a command that runs the broker's command, see `penstock.deploy.tether`; by default that of the
                last start, so that a broker that was killed and is started again still ends with its user.

        Raises:
            SetupError: the port is taken, the broker runs at another one, a download or the start failed, no Java.
        """
        self._under = under or self._under
        try:
            with alone(self.folder / "lock"):
                return self._up(port, timeout, self._under)
        except OSError as error:
            raise SetupError(
                f"cannot use {self.folder} for the broker: {error.strerror or error}. Choose another data folder.",
                code="BROKER_FAILED",
            ) from error

    def down(self) -> BrokerStatus:
        """Stop the broker, if it runs; return when its process is gone. Its topics stay."""
        if self.folder.is_dir():
            with alone(self.folder / "lock"):
                if process := self.process():
                    stop(process, grace=STOP_GRACE)
                forget_record(self.folder / NAME)
        return self.status()

    def _record(self) -> Record | None:
        return read_record(self.folder / NAME, Record)

    def _up(self, port: int | None, timeout: float, under: Sequence[str]) -> BrokerStatus:
        record, process = self._record(), self.process()
        if record is None or process is None:
            return self._start(usable_port(port, DEFAULT_PORT), timeout, under)
        if port not in (None, 0, record.port):
            raise SetupError(
                f"the broker in {self.folder} already runs at {LOOPBACK}:{record.port}, not at port {port}. "
                "Stop it first (`penstock kafka down`), or give another data folder.",
                code="BROKER_RUNS",
            )
        self._wait(record, process, timeout)
        return self.status()

    def _start(self, port: int, timeout: float, under: Sequence[str]) -> BrokerStatus:
        java = find_java(JAVA)
        jars = fetch(PINS, console=self._console)
        with during(self._console, f"starting Kafka on {LOOPBACK}:{port} with Java {java.version} ({java.origin})"):
            self._wait(*self._launch(port, java, jars, under), timeout)
        return self.status()

    def _launch(self, port: int, java: Java, jars: Path, under: Sequence[str]) -> tuple[Record, psutil.Process]:
        version = next(pin.version for pin in read_pins(PINS).files if pin.artifact == "kafka-clients")
        write_settings(self.folder, port=port, controller_port=free_port())
        cluster = format_storage(self.folder, java, jars)
        command = [*under, *broker_command(java, jars, mark(self.folder))]
        output = self.folder / "console.log"
        process = start(command, folder=self.folder, output=output, environment=java_environment())
        record = Record(process.pid, process.create_time(), port, cluster, version)
        write_record(self.folder / NAME, record)
        return record, process

    def _wait(self, record: Record, process: psutil.Process, timeout: float) -> None:
        try:
            self._wait_for_answer(record, process, timeout)
        except BaseException:  # Ctrl-C as well
            stop(process, grace=STOP_GRACE)
            forget_record(self.folder / NAME)
            raise

    def _wait_for_answer(self, record: Record, process: psutil.Process, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while cluster_at(record.port) != record.cluster:
            if ended(process):
                raise self._failure("ended while it started")
            if time.monotonic() > deadline:
                raise self._failure(f"does not answer at {LOOPBACK}:{record.port} after {timeout:g} s")
            time.sleep(0.1)

    def _failure(self, what: str) -> SetupError:
        logs = (self.folder / "console.log", self.folder / "broker.log")
        lines = [line for log in logs if log.exists() for line in log.read_text(errors="replace").splitlines()[-12:]]
        shown = "\n".join(lines) or "(nothing)"
        return SetupError(f"the broker {what}. The end of its log in {self.folder}:\n{shown}", code="BROKER_FAILED")
