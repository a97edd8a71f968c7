"""The load: one light client in C for each transport, the same for every server, in a closed loop of raw bytes.

``h2load`` (Debian: nghttp2-client) for gRPC: HTTP/2 streams with a gRPC frame that was written once.
``wrk`` (Debian: wrk) for REST: it opens connections again, which gunicorn's default worker closes after each answer.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from penstock.proto import SetupError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.works import Work
    from tests.peers.servers import Server

_POST = Path(__file__).with_name("post.lua")
_PACKAGES = {"h2load": "nghttp2-client", "wrk": "wrk"}
# 64 callers are neither one program nor 64: they come over 8 connections.
_CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class Load:
    """What the client saw.

    Attributes:
        requests: that were answered.
        seconds: that it took.
        p50_ms: median time of an answer.
        p99_ms: what one answer in a hundred took longer than.
    """

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float


class WrongAnswers(Exception):  # noqa: N818  (why the run ends)
    """Some answers were errors: such a run measures nothing."""


def check_tools() -> None:
    """Say what to install, before anything is started.

    Raises:
        SetupError: a load client is not there.
    """
    for tool, package in _PACKAGES.items():
        if shutil.which(tool) is None:
            raise SetupError(f"the load client {tool} is not installed; on Debian: apt-get install {package}")


def apply(work: Work, server: Server, seconds: float, reply_bytes: int, prefix: Sequence[str]) -> Load:
    """Ask ``server`` for ``seconds``; every answer has ``reply_bytes`` (of gRPC, where errors have status 200 too).

    Raises:
        WrongAnswers: not all were answered with success.
    """
    with TemporaryDirectory() as folder:
        if work.door == "grpc":
            return _h2load(work, server, seconds, reply_bytes, prefix, Path(folder))
        return _wrk(work, server, seconds, prefix, Path(folder))


def _h2load(work: Work, server: Server, seconds: float, reply_bytes: int, prefix: Sequence[str], folder: Path) -> Load:
    (folder / "body").write_bytes(b"\0" + struct.pack(">I", len(work.body)) + work.body)
    connections = min(_CONNECTIONS, work.callers)
    command = [*prefix, "h2load", "-t", "1", "-c", str(connections), "-m", str(work.callers // connections)]
    command += ["-D", f"{seconds:g}", "-d", str(folder / "body"), "--log-file", str(folder / "log")]
    command += ["-H", "content-type: application/grpc", "-H", "te: trailers"]
    output = _run([*command, f"http://{server.grpc}/seldon.protos.Seldon/Predict"], folder)
    done, failed = _number(output, r"(\d+) done"), _number(output, r"(\d+) failed")
    data = _number(output, r"\((\d+)\) data")
    # Requests that were under way at the end may have sent data and are not counted as done.
    if failed or not done * reply_bytes <= data <= (done + work.callers) * reply_bytes:
        raise WrongAnswers(f"{work.key}: {done} answers of {reply_bytes} bytes make {data}, {failed} failed\n{output}")
    times = [int(line.split()[2]) / 1000 for line in (folder / "log").read_text().splitlines()]
    return Load(done, seconds, *_percentiles(times))


def _wrk(work: Work, server: Server, seconds: float, prefix: Sequence[str], folder: Path) -> Load:
    (folder / "body").write_bytes(work.body)
    command = [*prefix, "wrk", "-t", "1", "-c", str(work.callers), "-d", f"{seconds:.0f}s", "--timeout", "60s"]
    command += ["-s", str(_POST), f"{server.rest}/api/v1.0/predictions"]
    found = json.loads(_run(command, folder).splitlines()[-1])
    if found["status"] or found["broken"] or found["late"]:
        raise WrongAnswers(f"{work.key}: {found}")
    return Load(found["requests"], found["microseconds"] / 1e6, found["p50"] / 1e3, found["p99"] / 1e3)


def _run(command: Sequence[str], folder: Path) -> str:
    variables = {**os.environ, "BODY": str(folder / "body")}
    return subprocess.run(command, env=variables, check=True, capture_output=True, text=True, timeout=600).stdout


def _number(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    if found is None:
        raise WrongAnswers(f"no {pattern} in what the load client wrote:\n{text}")
    return int(found[1])


def _percentiles(times: list[float]) -> tuple[float, float]:
    if len(times) < 2:
        return (times[0], times[0]) if times else (0.0, 0.0)
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return cuts[49], cuts[98]
