"""The client's two gRPC engines beside each other: ``python -m bench.client --help``.

Each asks a `penstock serve`, and a bare echo server of grpcio's, for one row at a time. The server has one core, the
client another; a round is a process of its own, and the engines take turns. Counted is what a call costs the client,
in seconds of its CPU, codec included, and how long the first of its callers waits.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from bench import nets, report
from bench.cores import prefixes
from bench.limits import __main__ as limits
from tests.peers.servers import penstock

from penstock.client import AsyncClient, Client

_FILE = report.RESULTS / "client.json"
_ENGINES = ("penstock", "grpcio")
_CALLERS = (1, 16, 64)
_ROW = np.array([[5.1, 3.5, 1.4, 0.2]])
_DEADLINE = 60.0
_WARM_UP = 200

Row = dict[str, Any]


def main() -> None:
    """Measure, print, keep the results; or, in a process of its own, do one round."""
    parser = argparse.ArgumentParser(prog="python -m bench.client", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one round (2)")
    parser.add_argument("--rounds", type=int, default=3, help="of each; the median counts (3)")
    parser.add_argument("--file", type=Path, default=_FILE, help=f"where the results go ({_FILE.name})")
    parser.add_argument("--one", nargs=2, metavar=("ADDRESS", "ENGINE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        address, engine = options.one
        print(json.dumps(_round(address, engine, options.seconds)))
        return
    commit, rows = report.commit(), measured(options.seconds, options.rounds)
    for row in rows:
        print(
            f"{row['server']:>10} {row['callers']:>3} {row['kind']:<8} {row['engine']:<9}"
            f"{row['per_core']:>9,.0f} a core-s {row['rps']:>9,.0f} a s  p50 {row['p50_us']:>7,.0f} us"
        )
    result = {"machine": report.machine(), "commit": commit, "seconds": options.seconds, "rows": rows}
    options.file.write_text(json.dumps(result, indent=1) + "\n")


def measured(seconds: float, rounds: int) -> list[Row]:
    """One row for each server, number of callers, kind of client and engine, with medians and all rounds."""
    server_prefix, client_prefix = prefixes()
    found: dict[tuple[str, int, str, str], list[Row]] = {}
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        nets.write("iris", folder / "iris.onnx")
        serve = stack.enter_context(penstock(folder / "iris.onnx", folder / "log", prefix=server_prefix))
        echo = stack.enter_context(limits.running("grpcio", folder, server_prefix))
        servers = {"penstock": serve.grpc, "grpcio": echo.grpc}
        for _, server, engine in product(range(rounds), servers, _ENGINES):
            one = [*client_prefix, sys.executable, "-m", "bench.client", "--seconds", str(seconds)]
            done = subprocess.run([*one, "--one", servers[server], engine], stdout=subprocess.PIPE, check=True)
            for kind, callers, figures in json.loads(done.stdout):
                found.setdefault((server, callers, kind, engine), []).append(figures)
    return [_summary(cell, each) for cell, each in found.items()]


def _round(address: str, engine: str, seconds: float) -> list[tuple[str, int, Row]]:
    ways = {"threads": _with_threads, "tasks": _with_tasks}
    return [(kind, callers, ways[kind](address, engine, callers, seconds)) for kind in ways for callers in _CALLERS]


def _summary(cell: tuple[str, int, str, str], rounds: list[Row]) -> Row:
    medians = {name: round(median(one[name] for one in rounds), 1) for name in rounds[0]}
    return {**dict(zip(("server", "callers", "kind", "engine"), cell, strict=True)), **medians, "each_round": rounds}


def _with_threads(address: str, engine: str, callers: int, seconds: float) -> Row:
    with Client(address, engine=engine, deadline=_DEADLINE) as client:
        for _ in range(_WARM_UP):
            client.predict(_ROW)
        waits: list[list[float]] = [[] for _ in range(callers)]
        ends = time.perf_counter() + seconds

        def ask(mine: list[float]) -> None:
            while (started := time.perf_counter()) < ends:
                client.predict(_ROW)
                mine.append(time.perf_counter() - started)

        threads = [threading.Thread(target=ask, args=(mine,)) for mine in waits]
        cpu, began = time.process_time(), time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return _figures(waits, time.process_time() - cpu, time.perf_counter() - began)


def _with_tasks(address: str, engine: str, callers: int, seconds: float) -> Row:
    return asyncio.run(_tasks(address, engine, callers, seconds))


async def _tasks(address: str, engine: str, callers: int, seconds: float) -> Row:
    async with AsyncClient(address, engine=engine, deadline=_DEADLINE) as client:
        for _ in range(_WARM_UP):
            await client.predict(_ROW)
        waits: list[list[float]] = [[] for _ in range(callers)]
        ends = time.perf_counter() + seconds

        async def ask(mine: list[float]) -> None:
            while (started := time.perf_counter()) < ends:
                await client.predict(_ROW)
                mine.append(time.perf_counter() - started)

        cpu, began = time.process_time(), time.perf_counter()
        await asyncio.gather(*map(ask, waits))
        return _figures(waits, time.process_time() - cpu, time.perf_counter() - began)


def _figures(waits: list[list[float]], cpu: float, wall: float) -> Row:
    calls = sum(map(len, waits))
    if not calls:
        raise SystemExit(f"no call was answered (process {os.getpid()})")
    first = sorted(waits[0])
    return {
        "rps": calls / wall,
        "per_core": calls / cpu,
        "p50_us": median(first) * 1e6,
        "p99_us": first[int(len(first) * 0.99)] * 1e6,
    }


if __name__ == "__main__":
    main()
