"""The two servers, each as a process of its own on free ports of 127.0.0.1: a real seldon-core, and ours."""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import httpx
from tests.peers.environments import environment
from tests.peers.programs import program

from penstock.deploy.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_PENSTOCK = (sys.executable, "-m", "penstock.cli")
SELDON_CORE = "seldon-core-1.18.2"
_LAUNCH = Path(__file__).with_name("loopback.py")


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers.

    Attributes:
        grpc: ``host:port``.
        rest: ``http://host:port``.
        group: number of its process group, and of its first process.
    """

    grpc: str
    rest: str
    group: int


@contextmanager
def seldon_core(folder: Path, log: Path, *, peer: str = SELDON_CORE, prefix: Sequence[str] = ()) -> Iterator[Server]:
    """A real ``seldon-core-microservice`` with the ``SeldonWrapper`` of ``folder`` and its own default settings.

    Args:
        folder: with SeldonWrapper.py.
        log: file for its output.
        peer: its environment.
        prefix: put before the command, for example to pin it to a core.
    """
    python = str(environment(peer))
    free = set[int]()
    while len(free) < 3:  # the same may be found twice
        free.add(free_port())
    http, rpc, metrics = free
    ports = ["--http-port", str(http), "--grpc-port", str(rpc), "--metrics-port", str(metrics)]
    command = [*prefix, python, str(_LAUNCH), "SeldonWrapper", "--service-type", "MODEL", *ports]
    grpc_address, rest_address = f"127.0.0.1:{rpc}", f"http://127.0.0.1:{http}"
    ready = _answers(grpc_address, f"{rest_address}/health/ping")
    variables = {**_clean(), "PYTHONPATH": str(folder), "SELDON_LOG_LEVEL": "WARNING"}
    with program(command, log=log, ready=ready, folder=folder, variables=variables) as group:
        yield Server(grpc_address, rest_address, group)


@contextmanager
def penstock(model: Path, log: Path, *, options: Sequence[str] = (), prefix: Sequence[str] = ()) -> Iterator[Server]:
    """``penstock serve --model MODEL`` as a user starts it, with more options and a prefix if wanted."""
    serve = [*_PENSTOCK, "serve", "--model", str(model), "--grpc-port", "0", "--http-port", "0"]
    command = [*prefix, *serve, *options]
    pattern = re.compile(r"grpc=(\S+) http=(\S+)")

    def ready() -> bool:
        return pattern.search(log.read_text()) is not None

    with program(command, log=log, ready=ready, folder=log.parent, variables=_clean()) as group:
        found = pattern.search(log.read_text())
        assert found is not None
        yield Server(found[1], found[2], group)


def _answers(grpc_address: str, url: str) -> Callable[[], bool]:
    """Whether both doors are open: they are opened by processes of their own, in any order."""

    def ready() -> bool:
        try:
            httpx.get(url, timeout=1).raise_for_status()
        except httpx.HTTPError:
            return False
        with grpc.insecure_channel(grpc_address) as channel:
            try:
                grpc.channel_ready_future(channel).result(0.5)
            except grpc.FutureTimeoutError:
                return False
        return True

    return ready


def _clean() -> dict[str, str]:
    """Our environment without what would reach into another Python's."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
