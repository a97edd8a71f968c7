"""`penstock serve` with its workers, in processes of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from ..serve_alone import SERVE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 60.0

# Tells which process answered; sleeps as long as it is asked to, below zero until there is the file ``open``.
MODEL = """
import os, time
from pathlib import Path
class SeldonWrapper:
    def predict(self, X, names):
        time.sleep(max(0.0, float(X[0][0])))
        while X[0][0] < 0 and not Path(__file__).with_name("open").exists():
            time.sleep(0.005)
        return [[os.getpid()]]
"""
UNTIL_OPEN = -1.0


@dataclass
class Fleet:
    """A running service: its parent, its addresses, and what it has logged so far."""

    parent: subprocess.Popen[str]
    grpc: str
    http: str
    log: Path

    def workers(self) -> list[psutil.Process]:
        return [child for child in psutil.Process(self.parent.pid).children() if child.is_running()]

    def client(self) -> httpx.Client:
        """One with a connection of its own, which stays."""
        return httpx.Client(base_url=self.http, timeout=60)

    def requests(self) -> float:
        """What Prometheus is told of predictions, by whichever worker."""
        text = httpx.get(f"{self.http}/metrics", timeout=60).text
        counts = re.findall(r'^penstock_requests_total\{.*method="predict",status="200"\} (\S+)$', text, re.MULTILINE)
        return sum(map(float, counts))


def wait_for(what: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


def asked(client: httpx.Client, seconds: float = 0.0) -> int:
    """The process that answered."""
    reply = client.post("/predict", json={"data": {"ndarray": [[seconds]]}})
    assert reply.status_code == 200, reply.text
    return int(reply.json()["data"]["ndarray"][0][0])


@contextmanager
def one_each(fleet: Fleet) -> Iterator[list[httpx.Client]]:
    """Two clients, each connected with another worker.

    A connection goes to who has fewer, and the parent hears of those that were closed a little later: until then the
    next two may both go to one worker.
    """
    with ExitStack() as stack:
        clients: list[httpx.Client] = []

        def are_apart() -> bool:
            for client in clients:
                client.close()
            clients[:] = [stack.enter_context(fleet.client()) for _ in range(2)]
            return len({asked(client) for client in clients}) == 2

        wait_for(are_apart)
        yield clients


@contextmanager
def command(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """The command on any free ports; whatever is left of it is killed."""
    log = folder / "log.txt"
    options = ["serve", "--grpc-port", "0", "--http-port", "0", "--workers", "2", *arguments]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-c", SERVE, *options],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        ) as parent,
    ):
        try:
            yield parent, log
        finally:
            if parent.poll() is None:
                for worker in psutil.Process(parent.pid).children(recursive=True):
                    worker.kill()
                parent.kill()


@contextmanager
def fleet(folder: Path, *arguments: str) -> Iterator[Fleet]:
    """A service of two workers, announced."""
    with command(folder, *arguments) as (parent, log):
        assert parent.stdout is not None
        line = parent.stdout.readline()
        found = re.match(r"serving model grpc=(\S+) http=(\S+)$", line)
        assert found, line + log.read_text()
        yield Fleet(parent, found[1], found[2], log)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "model"
    folder.mkdir()
    (folder / "SeldonWrapper.py").write_text(MODEL)
    return folder
