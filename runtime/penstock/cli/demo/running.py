"""What a demo brings up and takes down: one server of somebody else's, and programs of ours, each its own process.

What runs is written down before it is used, so that a demo that was killed leaves nothing behind for long: the next
one finds the record and clears up first. `--keep` is the same record, left there on purpose.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from penstock.deploy import processes
from penstock.proto import PenstockError, SetupError

from . import programs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import psutil

    from .programs import Program


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports asked for; None leaves the choice to the demo."""

    server: int | None = None
    grpc: int | None = None
    http: int | None = None


class Server(Protocol):
    """Kafka or NiFi."""

    def process(self) -> psutil.Process | None:
        """What runs."""

    def down(self) -> object:
        """Stop it."""


class Stack:
    """A demo's processes, in one folder of the user's data."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder = folder
        self.server = server
        self.grpc = self.http = ""
        self._record = folder / "running.json"
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

    def serve(self, model: Path, ports: Ports) -> None:
        """Serve a model."""
        grpc = programs.choose_port(ports.grpc, 5000, "gRPC")
        http = programs.choose_port(ports.http, 9000, "REST")
        arguments = ["serve", "--model", str(model), "--grpc-port", str(grpc), "--http-port", str(http)]
        service = self.start("service", model, ["penstock.cli", *arguments])
        self.grpc, self.http = f"127.0.0.1:{grpc}", f"http://127.0.0.1:{http}"
        service.wait_for(lambda: _is_ready(self.grpc))

    def start(
        self, name: str, mark: Path, arguments: list[str], environment: Mapping[str, str] | None = None
    ) -> Program:
        """Start a Python module as a program, see `programs.start`."""
        program = programs.start(name, mark, arguments, self.folder, environment)
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
        running = self.server.process() is not None
        self.server.down()
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
