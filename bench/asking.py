"""One question to a server by an ordinary client: is the answer right, how large is it, how long did it take."""

from __future__ import annotations

import http.client
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import grpc
import numpy as np
from bench.ways import question

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.ways import Array, Question, Way
    from tests.peers.servers import Server

_SECONDS = 60.0


class Reply(NamedTuple):
    """One answer: its bytes on the wire, and the seconds that it took alone."""

    size: int
    seconds: float


class WrongAnswer(Exception):  # noqa: N818  (why a cell is left out)
    """A server gave no answer, or another one than onnxruntime."""


def check(server: Server, way: Way, asked: Question, expected: Array) -> Reply:
    """Ask twice, and compare the second answer with the right one.

    Raises:
        WrongAnswer: it is another, or none.
    """
    ask(server, way, asked)
    started = time.perf_counter()
    reply, headers = ask(server, way, asked)
    seconds = time.perf_counter() - started
    compare(way, asked.read(reply, headers), expected)
    return Reply(len(reply), seconds)


def compare(way: Way, found: Array, expected: Array) -> None:
    """Raises: WrongAnswer: they differ."""
    if found.size != expected.size or not np.allclose(found.reshape(expected.shape), expected, rtol=1e-4, atol=1e-6):
        raise WrongAnswer(f"{way}: {found.ravel()[:4]} instead of {expected.ravel()[:4]}")


def ask(server: Server, way: Way, asked: Question) -> tuple[bytes, Mapping[str, str]]:
    """Reply and headers.

    Raises:
        WrongAnswer: none, or a refusal.
    """
    try:
        return _ask_grpc(server, asked) if way.door == "grpc" else _ask_rest(server, asked)
    except (OSError, grpc.RpcError, http.client.HTTPException) as reason:
        raise WrongAnswer(f"{way}: {str(reason)[:300]}") from reason


def _ask_grpc(server: Server, asked: Question) -> tuple[bytes, Mapping[str, str]]:
    with grpc.insecure_channel(server.grpc) as channel:
        return bytes(channel.unary_unary(asked.path, None, None)(asked.body, timeout=_SECONDS)), {}


def _ask_rest(server: Server, asked: Question) -> tuple[bytes, Mapping[str, str]]:
    connection = http.client.HTTPConnection(urlsplit(server.rest).netloc, timeout=_SECONDS)
    try:
        connection.request("POST", asked.path, asked.body, dict(asked.headers))
        response = connection.getresponse()
        reply = response.read()
        if response.status != 200:
            raise WrongAnswer(f"status {response.status}: {reply[:300]!r}")
        return reply, {name.title(): value for name, value in response.getheaders()}
    finally:
        connection.close()


def opens(server: Server, way: Way, rows: Array, names: tuple[str, str]) -> bool:
    """Whether it answers a question by now; tries for half a second, so that a start is timed to milliseconds."""
    asked = question(way, rows, names)
    for _ in range(250):
        try:
            _ask_once(server, way, asked)
        except (WrongAnswer, OSError, grpc.RpcError, http.client.HTTPException):
            time.sleep(0.002)
        else:
            return True
    return False


def _ask_once(server: Server, way: Way, asked: Question) -> None:
    if way.door == "grpc":
        with grpc.insecure_channel(server.grpc) as channel:
            channel.unary_unary(asked.path, None, None)(asked.body, timeout=1.0)
    else:
        _ask_rest(server, asked)
