"""What the demo brings up and takes down: a broker, a service, a stream; each a process of its own.

What runs is written down before it is used, so that a demo that was killed leaves nothing behind for long: the next
one finds the record and clears up first. `--keep` is the same record, left there on purpose.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.deploy import processes
from penstock.deploy.folders import data_folder
from penstock.deploy.kafka import DEFAULT_PORT, Broker
from penstock.proto import PenstockError, SetupError

from . import programs
from .traffic import SINK, SOURCE

if TYPE_CHECKING:
    from pathlib import Path

    import psutil
    from rich.console import Console

    from .programs import Program

_SPEC = """\
name = "digits"

[source]
topic = "{source}"
format = "ndarray"

[service]
address = "grpc://{grpc}"

[sink]
topic = "{sink}"

[dead_letter]
topic = "{source}-dead"

[kafka]
bootstrap = "{kafka}"
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports asked for; None leaves the choice to the demo."""

    kafka: int | None = None
    grpc: int | None = None
    http: int | None = None


class Stack:
    """The demo's processes, in one folder of the user's data."""

    def __init__(self, console: Console) -> None:
        self.folder = data_folder("demo")
        self.model = self.folder / "digits.onnx"
        self.spec = self.folder / "digits.toml"
        self.broker = Broker(self.folder / "kafka", console=console)
        self.kafka = self.grpc = self.http = ""
        self._record = self.folder / "running.json"
        self._programs: list[Program] = []

    def clear(self) -> None:
        """Make room: end what a killed demo has left, and start with an empty folder.

        Raises:
            SetupError: a demo was left running on purpose, or is being watched by somebody else.
        """
        record = self._read_record()
        if record.get("kept") and self._alive(record):
            raise SetupError("a demo is still running (--keep); stop it with `penstock demo --stop`")
        self.take_down()
        self.folder.mkdir(parents=True, exist_ok=True)

    def start_broker(self, port: int | None) -> None:
        """Bring up Kafka."""
        self.kafka = self.broker.up(programs.choose_port(port, DEFAULT_PORT, "Kafka")).address

    def start_service(self, ports: Ports) -> None:
        """Serve the model."""
        grpc = programs.choose_port(ports.grpc, 5000, "gRPC")
        http = programs.choose_port(ports.http, 9000, "REST")
        arguments = ["serve", "--model", str(self.model), "--grpc-port", str(grpc), "--http-port", str(http)]
        service = self._start("service", self.model, arguments)
        self.grpc, self.http = f"127.0.0.1:{grpc}", f"http://127.0.0.1:{http}"
        service.wait_for(lambda: _is_ready(self.grpc))

    def start_stream(self) -> None:
        """Let the stream take records from one topic to the other."""
        self.spec.write_text(_SPEC.format(source=SOURCE, sink=SINK, grpc=self.grpc, kafka=self.kafka))
        stream = self._start("stream", self.spec, ["stream", "run", str(self.spec)])
        stream.wait_for(lambda: "ready" in stream.log.read_text(errors="replace"))

    def _start(self, name: str, mark: Path, arguments: list[str]) -> Program:
        program = programs.start(name, mark, arguments, self.folder)
        self._programs.append(program)
        self._write_record(kept=False)
        return program

    def keep(self) -> None:
        """Leave everything running."""
        self._write_record(kept=True)

    def take_down(self) -> bool:
        """Stop whatever runs, the last started first; return whether there was anything."""
        found = self._alive(self._read_record())
        for process in reversed(found):
            processes.stop(process, grace=15.0)
        running = self.broker.process() is not None
        self.broker.down()
        shutil.rmtree(self.folder, ignore_errors=True)
        return bool(found) or running

    def _write_record(self, *, kept: bool) -> None:
        entries = [
            {"pid": program.process.pid, "created": program.process.create_time(), "mark": program.mark}
            for program in self._programs
        ]
        self._record.write_text(json.dumps({"kept": kept, "programs": entries}))

    def _read_record(self) -> dict[str, object]:
        with suppress(OSError, ValueError):
            record: dict[str, object] = json.loads(self._record.read_text())
            return record
        return {}

    def _alive(self, record: dict[str, object]) -> list[psutil.Process]:
        entries = record.get("programs", [])
        found = (processes.find(**entry) for entry in entries) if isinstance(entries, list) else ()
        return [process for process in found if process is not None]


def _is_ready(address: str) -> bool:
    from penstock.client import Client

    with Client(address, deadline=1.0) as client, suppress(PenstockError):
        return client.ready()
    return False
