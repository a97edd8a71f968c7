"""The load: one light client in C for each transport, the same for every server, in a closed loop of raw bytes.

``h2load`` (Debian: nghttp2-client) for gRPC: HTTP/2 streams with a gRPC frame that was written once.
``wrk`` (Debian: wrk) for REST: it opens connections again, which gunicorn's default worker closes after each answer.
"""

from __future__ import annotations

import json
import math
import os
import re
import resource
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

    from bench.ways import Question
    from tests.peers.servers import Server

_POST = Path(__file__).with_name("post.lua")
_PACKAGES = {"h2load": "nghttp2-client", "wrk": "wrk"}
# 64 callers are neither one program nor 64: they come over 8 connections.
_CONNECTIONS = 8
_FRAME = 5  # bytes that gRPC puts before a message
_LATE = 60  # seconds after which an answer will not come


@dataclass(frozen=True, slots=True)
class Load:
    """What the client saw.

    Attributes:
        requests: that were answered.
        seconds: that it took.
        p50_ms: median time of an answer.
        p99_ms: what one answer in a hundred took longer than.
        client_cpu: seconds of CPU that the client used.
    """

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    client_cpu: float


@dataclass(frozen=True, slots=True)
class Aim:
    """Who is asked, what, and by how many at a time.

    Attributes:
        server: that answers.
        grpc: over gRPC, else over REST.
        question: the same each time.
        callers: requests in flight.
        reply_bytes: of each answer; of gRPC this is checked, since its errors have status 200 as well.
    """

    server: Server
    grpc: bool
    question: Question
    callers: int
    reply_bytes: int


class WrongAnswers(Exception):  # noqa: N818  (why a cell is left out)
    """Some answers were errors: such a run measures nothing."""


def check_tools() -> None:
    """Say what to install, before anything is started.

    Raises:
        SetupError: a load client is not there.
    """
    for tool, package in _PACKAGES.items():
        if shutil.which(tool) is None:
            raise SetupError(f"the load client {tool} is not installed; on Debian: apt-get install {package}")


def apply(aim: Aim, seconds: float, prefix: Sequence[str]) -> Load:
    """Ask for ``seconds``; wrk counts in whole ones.

    Raises:
        WrongAnswers: not all were answered with success.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        return _h2load(aim, seconds, prefix, folder) if aim.grpc else _wrk(aim, seconds, prefix, folder)


def _h2load(aim: Aim, seconds: float, prefix: Sequence[str], folder: Path) -> Load:
    body = aim.question.body
    (folder / "body").write_bytes(b"\0" + struct.pack(">I", len(body)) + body)
    connections = min(_CONNECTIONS, aim.callers)
    command = [*prefix, "h2load", "-t", "1", "-c", str(connections), "-m", str(aim.callers // connections)]
    # h2load takes no fractions.
    command += ["-D", f"{round(seconds * 1000)}ms", "-d", str(folder / "body"), "--log-file", str(folder / "log")]
    command += ["-H", "content-type: application/grpc", "-H", "te: trailers"]
    output, cpu = _run([*command, f"http://{aim.server.grpc}{aim.question.path}"], seconds, {})
    done, failed = _number(output, r"(\d+) done"), _number(output, r"(\d+) failed")
    data, size = _number(output, r"\((\d+)\) data"), aim.reply_bytes + _FRAME
    # Requests that were under way at the end may have sent data and are not counted as done.
    if failed or not done * size <= data <= (done + aim.callers) * size:
        raise WrongAnswers(f"{done} answers of {size} bytes make {data}, {failed} failed\n{output[-800:]}")
    times = [int(line.split()[2]) / 1000 for line in (folder / "log").read_text().splitlines()]
    return Load(done, seconds, *_percentiles(times), cpu)


def _wrk(aim: Aim, seconds: float, prefix: Sequence[str], folder: Path) -> Load:
    (folder / "body").write_bytes(aim.question.body)
    headers = "\n".join(f"{name}: {value}" for name, value in aim.question.headers.items())
    command = [*prefix, "wrk", "-t", "1", "-c", str(aim.callers), "-d", f"{math.ceil(seconds)}s"]
    command += ["--timeout", f"{_LATE}s", "-s", str(_POST), f"{aim.server.rest}{aim.question.path}"]
    output, cpu = _run(command, seconds, {"BODY": str(folder / "body"), "HEADERS": headers})
    found = json.loads(output.splitlines()[-1])
    if found["status"] or found["broken"] or found["late"]:
        raise WrongAnswers(str(found))
    return Load(found["requests"], found["microseconds"] / 1e6, found["p50"] / 1e3, found["p99"] / 1e3, cpu)


def _run(command: Sequence[str], seconds: float, variables: dict[str, str]) -> tuple[str, float]:
    """What it wrote, and the seconds of CPU that it used."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **variables},
            check=True,
            capture_output=True,
            text=True,
            timeout=seconds + _LATE,
        )
    except subprocess.TimeoutExpired as reason:
        raise WrongAnswers(f"the load client was not done {_LATE} s after its time") from reason
    except subprocess.CalledProcessError as reason:
        told = (reason.stderr or reason.stdout or "").strip()[-300:]
        raise WrongAnswers(f"the load client ended with {reason.returncode}: {told}") from reason
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _number(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    if found is None:
        raise WrongAnswers(f"no {pattern} in what the load client wrote:\n{text[-800:]}")
    return int(found[1])


def _percentiles(times: list[float]) -> tuple[float, float]:
    if len(times) < 2:
        return (times[0], times[0]) if times else (0.0, 0.0)
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return cuts[49], cuts[98]
