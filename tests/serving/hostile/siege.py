"""A service in a process of its own, so that its memory can be told from ours."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MODEL = Path(__file__).parents[1] / "models" / "units"


@dataclass(frozen=True)
class Besieged:
    """A service under attack: its addresses (``host:port``), and its process."""

    grpc: str
    http: str
    process: psutil.Process

    @property
    def memory(self) -> int:
        """Bytes of its own."""
        return int(self.process.memory_full_info().uss)


@contextmanager
def besieged(engine: str = "penstock", prefix: Sequence[str] = ()) -> Iterator[Besieged]:
    """`penstock serve` on free ports; ``prefix`` stands before its command."""
    command = [*prefix, sys.executable, "-m", "penstock.cli", "serve", "--model", str(_MODEL), "--grpc-engine", engine]
    with subprocess.Popen(
        [*command, "--grpc-port", "0", "--http-port", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            about = dict(word.split("=", 1) for word in process.stdout.readline().split() if "=" in word)
            yield Besieged(about["grpc"], about["http"].removeprefix("http://"), psutil.Process(process.pid))
        finally:
            process.terminate()
