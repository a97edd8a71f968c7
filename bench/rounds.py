"""Measuring: every answer checked once before it is timed, then rounds in which the servers take turns."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import grpc
import httpx
import numpy as np
import psutil
from bench import load

from penstock.proto import read_json_message, read_message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.works import Work
    from tests.peers.servers import Server

_WARM_UP_SECONDS = 1.0
_LEAST = 3  # answers that each caller gets in a round
_TRIES = 3  # of a round in which the machine did something else
_FRAME = 5  # bytes that gRPC puts before a message


@dataclass(frozen=True, slots=True)
class Round:
    """One server at one work, once.

    Attributes:
        rps: answers per second.
        server_cpu: seconds of CPU that the server's processes used, per second.
        p50_ms: median time of an answer.
        p99_ms: what one answer in a hundred took longer than.
    """

    rps: float
    server_cpu: float
    p50_ms: float
    p99_ms: float

    @property
    def per_core(self) -> float:
        """Answers per second of the server's CPU time."""
        return self.rps / self.server_cpu if self.server_cpu else 0.0


class Reply(NamedTuple):
    """One answer: its bytes on the wire, and the seconds that it took alone."""

    size: int
    seconds: float


def measure(
    works: Sequence[Work],
    servers: Mapping[str, Server],
    *,
    rounds: int,
    seconds: float,
    prefix: Sequence[str],
    say: Callable[[str], None],
) -> dict[tuple[Work, str], list[Round]]:
    """All rounds of each work and each server, by both."""
    replies = {(work, name): check(work, server) for work in works for name, server in servers.items()}
    results: dict[tuple[Work, str], list[Round]] = {key: [] for key in replies}
    for number in range(rounds):
        for (work, name), reply in replies.items():
            if number == 0:
                load.apply(work, servers[name], _WARM_UP_SECONDS, reply.size, prefix)
            # An answer that takes seconds needs a longer round.
            enough = max(seconds, _LEAST * work.callers * reply.seconds)
            results[work, name].append(_round(work, servers[name], enough, reply.size, prefix))
        say(f"round {number + 1} of {rounds} done")
    return results


def check(work: Work, server: Server) -> Reply:
    """Ask twice, and compare the second answer with what the model gives in this process.

    Raises:
        AssertionError: it is another.
    """
    _ask(work, server)
    started = time.perf_counter()
    reply = _ask(work, server)
    seconds = time.perf_counter() - started
    message = read_message(reply) if work.door == "grpc" else read_json_message(reply)
    assert message.payload is not None, f"{work.key}: no payload in {reply[:200]!r}"
    np.testing.assert_allclose(message.payload.array, work.expected, rtol=1e-4, atol=1e-6, err_msg=str(work.key))
    return Reply(len(reply) + _FRAME, seconds)


def _ask(work: Work, server: Server) -> bytes:
    if work.door == "rest":
        url = f"{server.rest}/api/v1.0/predictions"
        reply = httpx.post(url, content=work.body, headers={"Content-Type": "application/json"}, timeout=60)
        return reply.raise_for_status().content
    with grpc.insecure_channel(server.grpc) as channel:
        predict = channel.unary_unary("/seldon.protos.Seldon/Predict", None, None)
        return bytes(predict(work.body, timeout=60))


def _round(work: Work, server: Server, seconds: float, size: int, prefix: Sequence[str]) -> Round:
    for _ in range(_TRIES):
        cpu, started = _cpu_seconds(server), time.perf_counter()
        seen = load.apply(work, server, seconds, size, prefix)
        elapsed = time.perf_counter() - started
        if seen.requests:
            used = (_cpu_seconds(server) - cpu) / elapsed
            return Round(seen.requests / seen.seconds, used, seen.p50_ms, seen.p99_ms)
    raise load.WrongAnswers(f"{work.key}: {_TRIES} rounds without a single answer; is the machine busy?")


def _cpu_seconds(server: Server) -> float:
    first = psutil.Process(server.group)
    times = [process.cpu_times() for process in (first, *first.children(recursive=True))]
    return sum(one.user + one.system for one in times)
