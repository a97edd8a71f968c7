"""The workers, each a process, and the broker: killed, frozen and started again."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.deploy.kafka import Broker

_ROOT = Path(__file__).parents[2]
_STOP_WITHIN = 60


class Crew:
    """Workers with the same command, numbered.

    Attributes:
        gave_up: workers that have ended without being killed or told to, and were started again.
    """

    def __init__(self, command: Sequence[str], count: int, folder: Path) -> None:
        self.gave_up = 0
        self._command, self._folder = list(command), folder
        self._processes = [self._start(number) for number in range(count)]

    @property
    def logs(self) -> list[Path]:
        """What the workers have said, each in a file."""
        return [self._log(number) for number in range(len(self._processes))]

    def process(self, number: int) -> psutil.Process:
        """The process of a worker."""
        return psutil.Process(self._processes[number].pid)

    def kill(self, number: int) -> None:
        """SIGKILL, and a new one in its place."""
        process = self._processes[number]
        process.kill()
        process.wait()
        self._processes[number] = self._start(number)

    def freeze(self, number: int) -> None:
        """SIGSTOP."""
        self._processes[number].send_signal(signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        """SIGCONT."""
        self._processes[number].send_signal(signal.SIGCONT)

    def look_after(self) -> None:
        """Start again who has ended by itself, as whatever supervises a worker does."""
        for number, process in enumerate(self._processes):
            if process.poll() is not None:
                self.gave_up += 1
                self._processes[number] = self._start(number)

    def stop(self) -> list[int]:
        """SIGTERM to all, and the exit codes."""
        for process in self._processes:
            process.terminate()
        return [process.wait(_STOP_WITHIN) for process in self._processes]

    def end(self) -> None:
        """Leave none, whatever has happened."""
        for process in self._processes:
            process.kill()
            process.wait()

    def _log(self, number: int) -> Path:
        return self._folder / f"worker-{number}.log"

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        with self._log(number).open("ab") as out:
            return subprocess.Popen(
                self._command, stdout=out, stderr=out, cwd=_ROOT, env=os.environ | {"PYTHONUNBUFFERED": "1"}
            )


def kill_broker(broker: Broker) -> None:
    """SIGKILL the broker, and start it again with its data at the same port."""
    port = int(broker.address.rpartition(":")[2])
    keeper = broker.process()
    assert keeper is not None
    for process in keeper.children(recursive=True) or [keeper]:
        process.kill()
    psutil.wait_procs([keeper], timeout=30)
    broker.up(port)
