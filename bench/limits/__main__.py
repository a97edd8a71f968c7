"""How far the service is from what this machine, this Python and this model allow: ``python -m bench.limits``.

Three bare echo servers, asked as the service is asked; the model by itself; and the service without its doors. All
numbers are calls (of the model alone: rows) per second of CPU time.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from bench import load, nets, report, trees
from bench.cores import prefixes
from bench.limits import inside
from bench.limits.echoes import ECHOES
from bench.ways import MODEL, Way, question
from tests.peers.programs import program
from tests.peers.servers import Server

from penstock.deploy.ports import free_port
from penstock.proto import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILE = Path(__file__).parents[1] / "results" / "limits.json"
_CALLERS = 64
_WARM_UP_SECONDS = 1.0
_NAMES = {
    "http1": "bare echo, asyncio and httptools, HTTP/1.1",
    "http2": "bare echo, asyncio, HTTP/2",
    "grpcio": "bare echo, grpc.aio",
}
_RUNS = (("iris", 1), ("iris", 64), ("iris", 256), ("mlp", 1), ("mlp", 64), ("image", 1))
_ANSWERS = (
    ("W1c64", "iris", 1, Kind.TENSOR, 64),
    ("W1c64", "iris", 1, Kind.NDARRAY, 64),
    ("W2", "iris", 256, Kind.TENSOR, 16),
    ("W2", "iris", 256, Kind.NDARRAY, 16),
    ("W3", "mlp", 1, Kind.TENSOR, 64),
    ("W4", "image", 1, Kind.TENSOR, 2),
    ("W4", "image", 1, Kind.NDARRAY, 2),
)

Row = dict[str, Any]


def main() -> None:
    """Measure, print, keep the results."""
    parser = argparse.ArgumentParser(prog="python -m bench.limits", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement (2)")
    parser.add_argument("--rounds", type=int, default=3, help="of all measurements; the median counts (3)")
    parser.add_argument("--file", type=Path, default=_FILE, help=f"where the results go ({_FILE.name})")
    options = parser.parse_args()
    load.check_tools()
    rows = measured(options.seconds, options.rounds)
    for row in rows:
        print(f"{row['per_core']:>12,.0f}  {row['limit']}: {row['says']}")
    result = {"machine": report.machine(), "commit": report.commit(), "rounds": options.rounds, "rows": rows}
    options.file.write_text(json.dumps(result, indent=1) + "\n")


def measured(seconds: float, rounds: int) -> list[Row]:
    """All limits, each the median of ``rounds``; a row has ``limit``, ``says``, ``per_core`` and ``all``."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for net in nets.MODELS:
            nets.write(net, folder / f"{net}.onnx")
        found: dict[tuple[str, str], list[float]] = {}
        for _ in range(rounds):
            for limit, says, value in _round(folder, seconds):
                found.setdefault((limit, says), []).append(value)
    return [
        {"limit": limit, "says": says, "per_core": statistics.median(values), "all": values}
        for (limit, says), values in found.items()
    ]


def _round(folder: Path, seconds: float) -> Iterator[tuple[str, str, float]]:
    for echo in ECHOES:
        yield _NAMES[echo], f"one row, {_CALLERS} callers", _echo(echo, folder, seconds)
    for net, rows in _RUNS:
        value = inside.runs(folder / f"{net}.onnx", net, rows, seconds)
        yield "onnxruntime alone, rows", f"{net}, {rows} in a run", value
    for work, net, rows, kind, callers in _ANSWERS:
        value = inside.answers(folder / f"{net}.onnx", net, rows, kind, callers, seconds)
        yield "the service without its doors", f"{work}, {net}, {rows} as {kind}, {callers} callers", value


def _echo(name: str, folder: Path, seconds: float) -> float:
    way = Way("rest" if name == "http1" else "grpc", "seldon", "tensor")
    asked = question(way, nets.rows("iris", 1), (MODEL, MODEL))
    server_prefix, load_prefix = prefixes()
    with running(name, folder, server_prefix) as server:
        aim = load.Aim(server, way.door == "grpc", asked, _CALLERS, len(asked.body))
        load.apply(aim, _WARM_UP_SECONDS, load_prefix)
        before = trees.cpu_seconds(server.group)
        seen = load.apply(aim, seconds, load_prefix)
        return seen.requests / (trees.cpu_seconds(server.group) - before)


@contextmanager
def running(name: str, folder: Path, prefix: list[str]) -> Iterator[Server]:
    """One of `ECHOES`, listening."""
    port = free_port()
    command = [*prefix, sys.executable, "-m", "bench.limits.echoes", name, str(port)]
    root = Path(__file__).parents[2]

    def listens() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    with program(command, log=folder / f"{name}.log", ready=listens, folder=root, variables=dict(os.environ)) as group:
        yield Server(f"127.0.0.1:{port}", f"http://127.0.0.1:{port}", group)


if __name__ == "__main__":
    main()
