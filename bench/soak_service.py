"""Half an hour at half of what a service can do, over gRPC and REST at once: is its memory flat, is each call answered?

    python -m bench.soak_service [--minutes 30] [--rate RATE] [--chart docs/charts/soak-service.svg]

The iris model, one row a call. First the service is asked as fast as it answers; half of that is the load, in equal
parts gRPC and REST, by ``h2load`` at a steady rate over 8 connections each. Every ten seconds the service is looked at.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import struct
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from platform import python_version
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from bench import load, nets, trees
from bench.cores import prefixes
from bench.report import commit
from bench.soak import keep, memory
from tests.peers.servers import penstock

from penstock.proto import prediction_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psutil

_RESULTS = Path(__file__).with_name("results") / "soak_service.json"
_CONNECTIONS = 8
_STREAMS = 8  # calls in flight on each connection, at most
_TRIAL = 5.0  # seconds of the load that shows what the service can do
_EVERY = 10.0
_WARM_UP_MINUTES = 5.0
_MINUTE = 60.0
_MEGA = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """The service at one moment.

    Attributes:
        second: since the load began.
        rss_mb: its resident memory, in MiB.
        files: open file descriptors.
        threads: threads.
        cpu_seconds: that it has used so far.
    """

    second: float
    rss_mb: float
    files: int
    threads: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Door:
    """How one door is asked.

    Attributes:
        name: ``grpc`` or ``rest``.
        options: for ``h2load``: protocol, headers, body.
        url: to ask.
    """

    name: str
    options: Sequence[str]
    url: str

    def command(self, seconds: float, rate: float | None) -> list[str]:
        """The load, as fast as it goes where no rate is given: calls a second over all connections."""
        pace = [] if rate is None else [f"--rps={rate / _CONNECTIONS:.3f}"]
        asked = ["-t", "1", "-c", str(_CONNECTIONS), "-m", str(_STREAMS), "-D", f"{seconds:g}"]
        return ["h2load", *asked, *pace, *self.options, self.url]


def _doors(grpc: str, rest: str, folder: Path) -> list[Door]:
    row = nets.rows("iris", 1)
    message = pb.SeldonMessage(data={"tensor": {"shape": row.shape, "values": row.ravel()}}).SerializeToString()
    (folder / "grpc").write_bytes(b"\0" + struct.pack(">I", len(message)) + message)
    (folder / "rest").write_text(json.dumps({"data": {"ndarray": row.tolist()}}))
    of_grpc = ["-d", str(folder / "grpc"), "-H", "content-type: application/grpc", "-H", "te: trailers"]
    of_rest = ["--h1", "-d", str(folder / "rest"), "-H", "content-type: application/json"]
    return [
        Door("grpc", of_grpc, f"http://{grpc}/seldon.protos.Seldon/Predict"),
        Door("rest", of_rest, f"{rest}/api/v1.0/predictions"),
    ]


def _counts(output: str) -> dict[str, int]:
    found = re.search(r"requests: .*?(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    assert found, output[-800:]
    names = ("done", "succeeded", "failed", "errored", "timeout")
    return dict(zip(names, map(int, found.groups()), strict=True))


def _half(doors: Sequence[Door], prefix: Sequence[str]) -> float:
    """Half of what the doors answer in a second when both are asked as fast as they answer."""
    loads = [
        subprocess.Popen([*prefix, *door.command(_TRIAL, None)], stdout=subprocess.PIPE, text=True) for door in doors
    ]
    return sum(_counts(load.communicate()[0])["succeeded"] for load in loads) / _TRIAL / 2


def soak(minutes: float, rate: float | None) -> dict[str, Any]:
    """Run it; all that was seen."""
    of_service, of_load = prefixes()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="penstock-soak-")))
        nets.write("iris", folder / "iris.onnx")
        server = stack.enter_context(penstock(folder / "iris.onnx", folder / "log", prefix=of_service))
        doors = _doors(server.grpc, server.rest, folder)
        rate = rate or _half(doors, of_load)
        print(f"{rate:,.0f} calls a second for {minutes:g} minutes", flush=True)
        loads = [
            stack.enter_context(
                subprocess.Popen(
                    [*of_load, *door.command(minutes * _MINUTE, rate / len(doors))], stdout=subprocess.PIPE, text=True
                )
            )
            for door in doors
        ]
        samples = _watch(trees.processes(server.group)[0], loads)
        outcomes = {door.name: _counts(load.communicate()[0]) for door, load in zip(doors, loads, strict=True)}
    return _report(samples, outcomes, minutes, rate)


def _watch(service: psutil.Process, loads: Sequence[subprocess.Popen[str]]) -> list[Sample]:
    samples: list[Sample] = []
    began = time.monotonic()
    while any(load.poll() is None for load in loads):
        times = service.cpu_times()
        samples.append(
            Sample(
                round(time.monotonic() - began, 1),
                round(service.memory_info().rss / _MEGA, 2),
                service.num_fds(),
                service.num_threads(),
                round(times.user + times.system, 1),
            )
        )
        time.sleep(max(0.0, len(samples) * _EVERY - (time.monotonic() - began)))
    return samples


def _report(
    samples: Sequence[Sample], outcomes: dict[str, dict[str, int]], minutes: float, rate: float
) -> dict[str, Any]:
    first, last = samples[0], samples[-1]
    answered = sum(each["succeeded"] for each in outcomes.values())
    return {
        "about": {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": commit(),
            "cores": os.cpu_count(),
            "load": [round(each, 1) for each in os.getloadavg()],
            "python": python_version(),
            "minutes": minutes,
            "calls_per_second": round(rate),
        },
        "outcomes": outcomes,
        "memory": memory(samples, warm_up=min(_WARM_UP_MINUTES, minutes / 6) * _MINUTE),
        "files": {"first": first.files, "last": last.files, "highest": max(each.files for each in samples)},
        "threads": {"first": first.threads, "last": last.threads},
        "cpu_seconds_per_1000_calls": round(1000 * (last.cpu_seconds - first.cpu_seconds) / max(1, answered), 3),
        "samples": {field.name: [getattr(each, field.name) for each in samples] for field in fields(Sample)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, help="calls a second in all, instead of half of what is possible")
    parser.add_argument("--results", type=Path, default=_RESULTS)
    parser.add_argument("--chart", type=Path, help="an SVG of the memory")
    options = parser.parse_args()
    load.check_tools()
    result = soak(options.minutes, options.rate)
    keep(result, options.results, options.chart)


if __name__ == "__main__":
    main()
