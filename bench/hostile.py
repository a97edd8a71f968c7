"""What hostile clients do to an honest one's waiting times: ``python -m bench.hostile --help``.

The service has one core, the honest client (one gRPC caller and one REST caller, each asking again when it is answered)
and the attacker share the other. What is asked is what the attacker does to the service, not to the client's core: so
the client goes before the attacker on it, in real time where that is permitted, and the attacker has the lowest
priority. Quiet and attacked rounds take turns; what counts is the ratio of their medians of p99.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

from bench.cores import prefixes
from tests.serving.hostile.attacks import ATTACKS, Target
from tests.serving.hostile.siege import besieged
from tests.serving.wire_client import connected

from penstock.proto import prediction_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.serving.hostile.siege import Besieged

_RESULTS = Path(__file__).parent / "results" / "hostile.json"
_PREDICT = "/seldon.protos.Seldon/Predict"
_TO_DEVELOP = 0.5  # seconds


async def _grpc(address: str, seconds: float) -> list[float]:
    body = pb.SeldonMessage(strData="a").SerializeToString()
    waited: list[float] = []
    async with connected(address) as client:
        end = perf_counter() + seconds
        while (started := perf_counter()) < end:
            answer = await client.unary(_PREDICT, body)
            waited.append(perf_counter() - started)
            assert answer.status == 0, answer
    return waited


async def _rest(address: str, seconds: float) -> list[float]:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    waited: list[float] = []
    body = b'{"strData": "a"}'
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    end = perf_counter() + seconds
    while (started := perf_counter()) < end:
        writer.write(head % len(body) + body)
        told = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(told.partition(b"content-length:")[2].split(b"\r")[0]))
        waited.append(perf_counter() - started)
        assert told.startswith(b"http/1.1 200"), told
    writer.close()
    return waited


async def _honest(server: Besieged, seconds: float) -> dict[str, float]:
    """Waiting times in milliseconds."""
    told: dict[str, float] = {}
    answered = await asyncio.gather(_grpc(server.grpc, seconds), _rest(server.http, seconds))
    for door, waited in zip(("grpc", "rest"), answered, strict=True):
        cuts = quantiles(waited, n=100) if len(waited) > 1 else waited * 99
        told |= {f"{door}_p50": 1000 * cuts[49], f"{door}_p99": 1000 * cuts[98]}
    return told


@contextmanager
def _attacked(server: Besieged, name: str, prefix: Sequence[str]) -> Iterator[None]:
    command = ["nice", "-n", "19", *prefix, sys.executable, "-m", "bench.hostile", "--attack", name]
    with subprocess.Popen([*command, server.grpc, server.http], stdout=subprocess.PIPE) as attacker:
        try:
            assert attacker.stdout is not None
            attacker.stdout.readline()
            yield
        finally:
            attacker.kill()


async def _attack(name: str, grpc: str, http: str) -> None:
    print("begins", flush=True)
    await ATTACKS[name](Target(grpc, http))


def _round(server: Besieged, seconds: float, cores: Sequence[str]) -> dict[str, float]:
    sleep(_TO_DEVELOP)
    with _going_first(cores):
        return asyncio.run(asyncio.wait_for(_honest(server, seconds), 30 + seconds))


def _measure(server: Besieged, name: str, told: argparse.Namespace, prefix: Sequence[str]) -> dict[str, Any]:
    quiet: list[dict[str, float]] = []
    attacked: list[dict[str, float]] = []
    _round(server, told.seconds, prefix)  # not counted: the first calls teach the service how long the model takes
    before = server.memory
    for _ in range(told.rounds):
        quiet.append(_round(server, told.seconds, prefix))
        with _attacked(server, name, prefix):
            attacked.append(_round(server, told.seconds, prefix))
    row: dict[str, Any] = {"attack": name, "engine": told.engine, "grown_mb": (server.memory - before) >> 20}
    for key in quiet[0]:
        row[key] = round(median(one[key] for one in quiet), 3)
        row[f"{key}_attacked"] = round(median(one[key] for one in attacked), 3)
    for door in ("grpc", "rest"):
        row[f"{door}_ratio"] = round(row[f"{door}_p99_attacked"] / row[f"{door}_p99"], 2)
    return row


@contextmanager
def _going_first(cores: Sequence[str]) -> Iterator[None]:
    """Have this process, the honest client, on the load's core, before whatever else is there."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(cores[-1])})
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.sched_setaffinity(0, before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=sorted(ATTACKS), help="all attacks where not given")
    parser.add_argument("--engine", default="penstock", choices=["penstock", "grpcio"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a round")
    parser.add_argument(
        "--real-time", action="store_true", help="the service goes before all else, where others work here"
    )
    parser.add_argument("--attack", nargs=3, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.attack:
        asyncio.run(_attack(*told.attack))
        return
    of_server, of_load = prefixes()
    of_server += ["chrt", "--fifo", "1"] if told.real_time else []
    rows = []
    print(f"{'attack':28}{'gRPC p99, ms':>24}{'×':>7}{'REST p99, ms':>24}{'×':>7}")
    for name in told.only or ATTACKS:
        with besieged(told.engine, of_server) as server:
            try:
                row = _measure(server, name, told, of_load)
            except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
                rows.append({"attack": name, "engine": told.engine, "failed": repr(error)})
                print(f"{name:28}  {error!r}", flush=True)
                continue
        rows.append(row)
        told_of = [
            f"{row[f'{door}_p99']:>10.2f} → {row[f'{door}_p99_attacked']:>10.2f} {row[f'{door}_ratio']:>7.2f}"
            for door in ("grpc", "rest")
        ]
        print(f"{name:28}" + " ".join(told_of), flush=True)
    if told.only is None:
        about = {"seconds": told.seconds, "rounds": told.rounds, "real_time": told.real_time}
        _RESULTS.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
