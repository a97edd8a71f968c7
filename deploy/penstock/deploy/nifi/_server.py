"""One local NiFi, known by its folder: start it, ask for it, stop it, from any process.

1. Who starts or stops a NiFi holds the lock in its folder.
2. NiFi is fetched and put together in the cache, once; a Java is found; the folder's files are written.
3. Python workers that a killed NiFi of this folder has left are ended.
4. The process is started in a session of its own and recorded at once, so that it can be found if we are killed.
5. It is up when it, and not a stranger, listens on the port, answers, and offers the processors laid out for it.
6. A start that fails leaves no process; the error shows what went wrong in the log.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from penstock.deploy.folders import data_folder
from penstock.deploy.java import find_java
from penstock.deploy.locks import alone
from penstock.deploy.nifi._assembly import assemble
from penstock.deploy.nifi._bundle import processors_in, put_processors
from penstock.deploy.nifi._command import nifi_command, nifi_environment
from penstock.deploy.nifi._home import prepare
from penstock.deploy.nifi._install import Installed, install
from penstock.deploy.nifi._log import end_of, followed, last_lines, size_of
from penstock.deploy.nifi._probe import offered, serves
from penstock.deploy.nifi._record import NAME, Record, mark
from penstock.deploy.nifi._workers import memory_of, reap
from penstock.deploy.ports import LOOPBACK, free_port, usable_port
from penstock.deploy.processes import ended, start, stop
from penstock.deploy.progress import during
from penstock.deploy.records import forget_record, read_record, write_record
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import psutil
    from rich.console import Console

    from penstock.deploy.java import Java
    from penstock.deploy.nifi._assembly import Assembly

DEFAULT_PORT = 18080  # not 8080 or 8443, which another NiFi on the machine may have
START_TIMEOUT = 300.0  # a start takes 20 s on an idle machine with two cores, and was seen to take 70 s on a busy one
STOP_GRACE = 30.0  # running processors are given 10 s of it
JAVA = 21  # what NiFi 2 needs

_POLL = 0.2

State = Literal["running", "not answering", "stopped", "died"]


@dataclass(frozen=True, slots=True)
class NiFiStatus:
    """What is known of a NiFi now.

    Attributes:
        state: ``running``; ``not answering``: the process is there, but starts or hangs; ``stopped``;
            ``died``: it ended without being told to.
        address: ``http://127.0.0.1:port``, to which clients add ``/nifi-api`` and people ``/nifi``; empty when there
            is no process.
        pid: of the process; None when there is none.
        uptime: seconds since the process started.
        memory: bytes that NiFi and its Python workers take together.
        version: of NiFi; empty when there is no process.
        data: the folder with flow, repositories, settings and logs.
        log: NiFi's log, whether it is there or not.
    """

    state: State
    address: str
    pid: int | None
    uptime: float
    memory: int
    version: str
    data: Path
    log: Path


class NiFi:
    """A NiFi on 127.0.0.1, with its files in one folder.

    Args:
        folder: where its files are; by default ``nifi/default`` in Penstock's part of the user's data folder.
        console: where the progress is shown; by default nowhere.
    """

    def __init__(self, folder: Path | None = None, *, console: Console | None = None) -> None:
        self.folder = (folder or data_folder("nifi", "default")).expanduser().absolute()
        self._console = console

    @property
    def address(self) -> str:
        """``http://127.0.0.1:port``, for clients.

        Raises:
            SetupError: there is no NiFi.
        """
        status = self.status()
        if not status.address:
            raise SetupError(f"the NiFi in {self.folder} is not running", code="NIFI_DOWN")
        return status.address

    @property
    def log(self) -> Path:
        """NiFi's log, whether it is there or not."""
        return self.folder / "logs" / "nifi-app.log"

    def process(self) -> psutil.Process | None:
        """The process that serves, or starts; None when there is none."""
        record = self._record()
        return record.process(self.folder) if record else None

    def status(self) -> NiFiStatus:
        """Look for the process and ask NiFi; takes up to 5 s where it hangs."""
        record, process = self._record(), self.process()
        if record is None or process is None:
            return NiFiStatus("died" if record else "stopped", "", None, 0.0, 0, "", self.folder, self.log)
        state: State = "running" if serves(process, record.port) else "not answering"
        uptime = max(0.0, time.time() - record.created)
        address = f"http://{LOOPBACK}:{record.port}"
        memory = memory_of(process)
        return NiFiStatus(state, address, record.pid, uptime, memory, record.version, self.folder, self.log)

    def up(self, port: int | None = None, *, timeout: float = START_TIMEOUT, under: Sequence[str] = ()) -> NiFiStatus:
        """Start NiFi, unless it runs; return when it serves.

        Args:
            port: of the canvas and the REST API; 0 takes a free one. By default that of the running NiFi, else 18080.
            timeout: seconds from the start of the process until it serves; downloads are not counted.
            under: a command that runs NiFi's command, see `penstock.deploy.tether`.

        Raises:
            SetupError: the port is taken, NiFi runs at another one, a download or the start failed, or no Java.
        """
        try:
            with alone(self.folder / "lock"):
                return self._up(port, timeout, under)
        except OSError as error:
            raise SetupError(
                f"cannot use {self.folder} for NiFi: {error.strerror or error}. Choose another data folder.",
                code="NIFI_FAILED",
            ) from error

    def down(self) -> NiFiStatus:
        """Stop NiFi, if it runs; return when its processes are gone. Its flow and what is queued in it stay."""
        if self.folder.is_dir():
            with alone(self.folder / "lock"):
                if process := self.process():
                    with during(self._console, "stopping NiFi"):
                        stop(process, grace=STOP_GRACE)
                reap(self.folder)
                forget_record(self.folder / NAME)
        return self.status()

    def logs(self, lines: int = 50, *, follow: bool = False) -> Iterator[str]:
        """The last lines of NiFi's log; with ``follow`` also those that come, without end.

        Raises:
            SetupError: there is no log.
        """
        if not self.log.exists():
            raise SetupError(f"there is no log in {self.log.parent}: this NiFi was never started", code="NIFI_DOWN")
        return followed(self.log, lines) if follow else last_lines(self.log, lines)

    def install(self, nar: Path) -> Installed:
        """Put a NAR of the user's own on this NiFi, see `penstock.deploy.nifi.install`."""
        from penstock.deploy.canvas import Connection

        return install(Connection(self.address), nar)

    def _record(self) -> Record | None:
        return read_record(self.folder / NAME, Record)

    def _up(self, port: int | None, timeout: float, under: Sequence[str]) -> NiFiStatus:
        record, process = self._record(), self.process()
        if record is None or process is None:
            return self._start(usable_port(port, DEFAULT_PORT), timeout, under)
        if port not in (None, 0, record.port):
            raise SetupError(
                f"the NiFi in {self.folder} already runs at {LOOPBACK}:{record.port}, not at port {port}. "
                "Stop it first (`penstock nifi down`), or give another data folder.",
                code="NIFI_RUNS",
            )
        self._wait(record, process, timeout)
        return self.status()

    def _start(self, port: int, timeout: float, under: Sequence[str]) -> NiFiStatus:
        java = find_java(JAVA)
        assembly = assemble(self._console)
        reap(self.folder)
        prepare(self.folder, assembly, port=port)
        with during(self._console, "laying out the processors"):
            put_processors(self.folder)
        with during(self._console, f"starting NiFi on {LOOPBACK}:{port} with Java {java.version} ({java.origin})"):
            self._wait(*self._launch(port, java, assembly, under), timeout)
        return self.status()

    def _launch(self, port: int, java: Java, assembly: Assembly, under: Sequence[str]) -> tuple[Record, psutil.Process]:
        command = [*under, *nifi_command(java, assembly, mark(self.folder), management_port=free_port())]
        logged = size_of(self.log)
        output = self.folder / "console.log"
        process = start(command, folder=self.folder, output=output, environment=nifi_environment())
        record = Record(process.pid, process.create_time(), port, assembly.version, logged)
        write_record(self.folder / NAME, record)
        return record, process

    def _wait(self, record: Record, process: psutil.Process, timeout: float) -> None:
        try:
            self._wait_for_answer(record, process, timeout)
        except BaseException:  # Ctrl-C as well
            stop(process, grace=STOP_GRACE)
            reap(self.folder)
            forget_record(self.folder / NAME)
            raise

    def _wait_for_answer(self, record: Record, process: psutil.Process, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not serves(process, record.port):
            if ended(process):
                raise self._failure(record, "ended while it started")
            if time.monotonic() > deadline:
                raise self._failure(record, f"does not answer at {LOOPBACK}:{record.port} after {timeout:g} s")
            time.sleep(_POLL)
        wanted = processors_in(self.folder)
        while missing := wanted - offered(record.port):  # NiFi looks for them after it has begun to serve
            if ended(process) or time.monotonic() > deadline:
                raise self._failure(record, f"does not offer {', '.join(sorted(missing))}")
            time.sleep(_POLL)

    def _failure(self, record: Record, what: str) -> SetupError:
        shown = end_of(self.folder, since=record.logged)
        return SetupError(f"NiFi {what}. The end of its log, {self.log}:\n{shown}", code="NIFI_FAILED")
