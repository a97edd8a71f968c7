"""HTTP/1.1 as RFC 9112 has it, over real connections: order, framing, limits, and who is hung up on."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.proto import Limits
from penstock.serving.doors import http1
from penstock.serving.doors.connections import Connections
from penstock.serving.doors.http1 import Http1, Http1Door
from penstock.serving.doors.rest import rest
from penstock.serving.service import Service
from penstock.serving.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from ..conftest import Gate

UNITS = Path(__file__).parents[1] / "models" / "units"
LIMIT = 100_000
FAR = 10_000.0  # seconds: beyond every patience
CHEAP = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return str(json.loads(self.body)["strData"])

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["status"]["info"]).partition(":")[0]


class Caller:
    """One connection, written to byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *pieces: bytes) -> None:
        self.writer.write(b"".join(pieces))

    async def answer(self, *, has_body: bool = True) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        status = int(head[0].split()[1])
        size = int(headers.get("content-length", "0")) if has_body else 0
        return Answer(status, headers, await self.reader.readexactly(size))

    async def answers(self, count: int) -> list[Answer]:
        return [await self.answer() for _ in range(count)]

    async def is_over(self) -> bool:
        """Whether the server hangs up without a word more."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    async def close(self) -> None:
        self.writer.close()


@dataclass
class Server:
    service: Service
    connections: Connections
    shared: Http1Door
    port: int

    async def call(self) -> Caller:
        caller = Caller(*await asyncio.open_connection("127.0.0.1", self.port))
        CALLERS.append(caller)
        return caller

    def later(self, seconds: float = FAR) -> None:
        for connection in self.connections:
            connection.check(self.connections.now + seconds)

    @property
    def door_held(self) -> int:
        return self.shared.held

    @property
    def door(self) -> Http1:
        (connection,) = self.connections
        assert isinstance(connection, Http1)
        return connection


CALLERS: list[Caller] = []


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    async with asyncio.timeout(60):
        about = Settings(UNITS, grpc_port=0, http_port=0, limits=Limits(message_bytes=LIMIT))
        service = await Service.start(about)
        connections = Connections()
        door = Http1Door(rest(service, about), connections)
        server = await asyncio.get_running_loop().create_server(door, "127.0.0.1", 0)
        try:
            yield Server(service, connections, door, server.sockets[0].getsockname()[1])
        finally:
            server.close()
            for caller in CALLERS:
                await caller.close()
            CALLERS.clear()
            await connections.stop(5)
            await service.stop()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as server:
        yield server


def post(body: bytes, *headers: str, path: str = "/predict") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def text(value: str, *headers: str) -> bytes:
    return post(json.dumps({"strData": value}).encode(), *headers)


CHUNKS = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunked(body: bytes, size: int = 3) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return CHUNKS + framed + b"0\r\nX-Trailer: a\r\n\r\n"


async def until(is_so: Callable[[], object]) -> None:
    while not is_so():  # noqa: ASYNC110  (the service is not told of its test)
        await asyncio.sleep(0.01)


PING = b"GET /health/ping HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_answers_come_in_the_order_of_the_requests(server: Server) -> None:
    caller = await server.call()
    asked = [f"{n:03}" for n in range(100)]
    caller.send(text("sleep 0.05"), *map(text, asked))
    assert [answer.text for answer in await caller.answers(101)] == ["sleep 0.05", *asked]


PARTS = st.one_of(
    st.builds(text, st.text("ab", max_size=3)),
    st.builds(lambda value: chunked(json.dumps({"strData": value}).encode()), st.text("ab", max_size=3)),
    st.builds(lambda value, puid: text(value, f"Seldon-Puid: {puid}"), st.text("ab", max_size=3), st.text("pq")),
    st.just(PING),
    st.just(b"\r\n" + PING),
    st.just(post(b"{")),
    st.just(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"),
)


def bodies(answers: Sequence[Answer]) -> list[tuple[int, object]]:
    found: list[tuple[int, object]] = []
    for answer in answers:
        value = json.loads(answer.body) if answer.body.startswith(b"{") else answer.body
        if isinstance(value, dict):
            value.get("meta", {}).pop("puid", None)
        found.append((answer.status, value))
    return found


@CHEAP
@given(st.lists(PARTS, min_size=1, max_size=6), st.data())
async def test_it_does_not_matter_how_the_bytes_are_cut(parts: list[bytes], data: st.DataObject) -> None:
    async with serving() as server:
        alone = []
        for part in parts:  # each on a connection of its own
            caller = await server.call()
            caller.send(part)
            alone.append(await caller.answer())
            await caller.close()
        together = b"".join(parts)
        for _ in range(2):  # the second time their heads are known
            caller = await server.call()
            cuts = sorted({0, len(together), *data.draw(st.lists(st.integers(0, len(together)), max_size=5))})
            for start, stop in pairwise(cuts):
                caller.send(together[start:stop])
                await asyncio.sleep(0)
            assert bodies(await caller.answers(len(parts))) == bodies(alone)


async def test_a_known_head_is_told_from_one_that_differs_by_a_byte(server: Server) -> None:
    caller = await server.call()
    body = b'{"strData":"a"}'
    for _ in range(2):
        for puid in ("p", "q", "P"):
            caller.send(post(body, f"Seldon-Puid: {puid}"))
            assert (await caller.answer()).headers["seldon-puid"] == puid
    caller.send(post(body, path="/nope"), post(body, path="/predict"))
    assert [answer.status for answer in await caller.answers(2)] == [404, 200]


@pytest.mark.parametrize(
    "head",
    [b"GET /health/ping HTTP/1.0\r\n\r\n", b"GET /health/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"],
    ids=["1.0", "close"],
)
async def test_the_last_request_of_a_connection_is_answered_and_no_other(server: Server, head: bytes) -> None:
    caller = await server.call()
    caller.send(head, PING)
    answer = await caller.answer()
    assert (answer.body, answer.headers["connection"]) == (b"pong", "close")
    assert await caller.is_over()


async def test_head_has_no_body(server: Server) -> None:
    caller = await server.call()
    caller.send(PING.replace(b"GET", b"HEAD"), PING)
    answer = await caller.answer(has_body=False)
    assert answer.headers["content-length"] == "4"
    assert (await caller.answer()).body == b"pong"


async def test_answers_have_a_date(server: Server) -> None:
    caller = await server.call()
    caller.send(PING)
    assert (await caller.answer()).headers["date"].endswith(" GMT")


@pytest.mark.parametrize("target", [b"http://any.where/health/ping", b"/health/ping?a=b", b"/health/p%69ng"])
async def test_every_form_of_a_target(server: Server, target: bytes) -> None:
    caller = await server.call()
    caller.send(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await caller.answer()).body == b"pong"


EXPECT = "Expect: 100-continue"


async def test_who_waits_for_a_word_before_the_body_gets_it(server: Server) -> None:
    caller = await server.call()
    head, body = text("a", EXPECT).split(b"\r\n\r\n")
    for _ in range(2):
        caller.send(head, b"\r\n\r\n")
        assert (await caller.answer(has_body=False)).status == 100
        caller.send(body)
        assert (await caller.answer()).text == "a"


async def test_the_word_comes_when_it_is_that_requests_turn(server: Server) -> None:
    caller = await server.call()
    head, body = text("a", EXPECT).split(b"\r\n\r\n")
    caller.send(text("sleep 0.1"), head, b"\r\n\r\n")
    assert (await caller.answer()).text == "sleep 0.1"
    assert (await caller.answer(has_body=False)).status == 100
    caller.send(body)
    assert (await caller.answer()).text == "a"


@pytest.mark.parametrize(("path", "size", "status"), [("/nope", 9, 404), ("/predict", LIMIT + 1, 413)])
async def test_no_word_where_the_body_would_be_in_vain(server: Server, path: str, size: int, status: int) -> None:
    caller = await server.call()
    caller.send(f"POST {path} HTTP/1.1\r\nHost: x\r\n{EXPECT}\r\nContent-Length: {size}\r\n\r\n".encode())
    assert (await caller.answer()).status == status
    assert await caller.is_over()


async def test_too_large_is_told_before_the_body_and_the_body_is_read_for_a_while(server: Server) -> None:
    caller = await server.call()
    caller.send(f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {10 * LIMIT}\r\n\r\n".encode())
    answer = await caller.answer()
    assert (answer.status, answer.code, answer.headers["connection"]) == (413, "MESSAGE_TOO_LARGE", "close")
    caller.send(bytes(10 * LIMIT))
    await caller.writer.drain()
    assert await caller.is_over()


async def test_too_large_in_chunks_is_told_when_it_is(server: Server) -> None:
    caller = await server.call()
    caller.send(chunked(b" " * (LIMIT + 1), 20_000)[:-5])
    assert (await caller.answer()).status == 413
    server.later()
    assert await caller.is_over()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /health/ping HTTP/1.1\r\n\r\n", 400),
        (b"GET /health/ping HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET /health/ping HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET /health/ping HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        # What two readers could understand differently (RFC 9112, 11.2).
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc", 400),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST /predict HTTP/1.1\r\nTransfer-Encoding: gzip\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        (b"POST /predict HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /health/ping HTTP/1.1\nHost: x\n\n", 400),
        (CHUNKS + b"1;" + b"a=b;" * 1000, 400),
        (CHUNKS + b"1\nx\r\n0\r\n\r\n", 400),
        (CHUNKS + b"0x1\r\nx\r\n0\r\n\r\n", 400),
        (CHUNKS + b"1\r\nxy\r\n0\r\n\r\n", 400),
        (CHUNKS + b"0\r\n" + b"X: y\r\n" * 5000, 431),
        (CHUNKS + b"1\r\n \r\n" * 12_000, 400),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc", 400),
        (b"GET /health/ping HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", 400),
        (b"GET /health/ping HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", 400),
    ],
)
async def test_what_is_refused_ends_the_connection(server: Server, request_: bytes, status: int) -> None:
    caller = await server.call()
    caller.send(request_, PING)
    assert (await caller.answer()).status == status
    assert await caller.is_over()


async def test_a_refusal_waits_for_the_answers_before_it(server: Server) -> None:
    caller = await server.call()
    caller.send(text("sleep 0.1"), b"GARBAGE\r\n\r\n")
    assert [answer.status for answer in await caller.answers(2)] == [200, 400]
    assert await caller.is_over()


async def test_who_hangs_up_is_not_answered_for_nothing(server: Server, gate: Gate) -> None:
    caller = await server.call()
    caller.send(text(gate.text))
    await until(lambda: server.service.metrics.in_flight)
    caller.writer.transport.abort()
    await until(lambda: not len(server.connections))
    await asyncio.sleep(0)
    told = await server.service.exposition()
    assert b'method="predict",status="499"} 1' in told
    assert b'method="predict",status="200"' not in told


@pytest.mark.parametrize("sent", [b"GET /health", text("a")[:-3], chunked(b"{}")[:-4]], ids=["head", "body", "chunks"])
async def test_a_request_that_does_not_end_is_given_up(server: Server, sent: bytes) -> None:
    caller = await server.call()
    caller.send(PING, sent)
    await caller.answer()
    await until(lambda: server.door._data or server.door._asked)
    server.later(1)
    server.later()
    answer = await caller.answer()
    assert (answer.status, answer.code) == (408, "TOO_SLOW")
    assert await caller.is_over()


async def test_a_body_in_drips_is_given_up(server: Server) -> None:
    caller = await server.call()
    caller.send(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n")
    server.connections._timer.cancel()  # time is told below
    await until(lambda: server.door._asked)
    seconds = 0
    while not server.door._deaf:  # a byte every four seconds
        seconds += 4
        caller.send(b"{")
        await asyncio.sleep(0.01)
        server.connections.now += 4
        server.later(0)
    assert (await caller.answer()).status == 408
    assert 20 < seconds < 40


async def test_bodies_that_are_not_complete_are_bounded_for_all_together(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1, "_MOST_HELD", 2 * LIMIT)
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {LIMIT}\r\n\r\n".encode()
    callers = [await server.call() for _ in range(3)]
    for caller in callers[:2]:
        caller.send(head, b" " * (LIMIT - 1))
    await until(lambda: server.door_held == 2 * LIMIT - 2)
    callers[2].send(chunked(b" " * LIMIT, LIMIT)[:-9])
    answer = await callers[2].answer()
    assert (answer.status, answer.code) == (429, "OVERLOADED")
    assert server.door_held == 2 * LIMIT - 2
    callers[0].send(b" ")
    assert (await callers[0].answer()).status == 400
    callers[1].writer.transport.abort()
    await until(lambda: not server.door_held)
    callers[0].send(text("a"))
    assert (await callers[0].answer()).text == "a"


async def test_an_idle_connection_is_closed_without_a_word(server: Server) -> None:
    caller = await server.call()
    caller.send(PING)
    await caller.answer()
    server.later(60)
    caller.send(PING)
    await caller.answer()
    server.later(80)
    assert await caller.is_over()


async def test_who_waits_for_the_model_is_not_idle(server: Server, gate: Gate) -> None:
    caller = await server.call()
    caller.send(text(gate.text))
    await until(lambda: server.service.metrics.in_flight)
    server.later()
    gate.open()
    assert (await caller.answer()).text == gate.text


async def test_who_does_not_read_makes_us_hold_little_and_is_hung_up_on(server: Server) -> None:
    caller = await server.call()
    caller.writer.transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(400):
        caller.send(text("a" * 50_000))
    held = -1
    while held != (held := server.door._transport.get_write_buffer_size()) or not held:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    assert held < 10 * LIMIT
    assert len(server.door._data) < 10 * LIMIT
    server.later()
    server.later()
    await until(lambda: not len(server.connections))


async def test_a_stop_answers_what_came_and_takes_nothing_more(server: Server, gate: Gate) -> None:
    busy, idle, half = await server.call(), await server.call(), await server.call()
    for caller in (busy, idle, half):
        caller.send(PING)
        await caller.answer()
    busy.send(text(gate.text), text("b"))
    half.send(text("c")[:-3])
    await until(lambda: server.service.metrics.in_flight)
    stopping = asyncio.create_task(server.connections.stop(30))
    assert await idle.is_over()
    gate.open()
    first, second = await busy.answers(2)
    assert (first.text, second.text) == (gate.text, "b")
    assert "connection" not in first.headers
    assert second.headers["connection"] == "close"
    half.send(text("c")[-3:])
    assert (await half.answer()).headers["connection"] == "close"
    await stopping
    assert await half.is_over()


async def test_a_stop_waits_no_longer_than_it_may(server: Server) -> None:
    caller = await server.call()
    caller.send(text("c")[:-3])
    await until(lambda: server.door._asked)
    await server.connections.stop(0.1)
    assert await caller.is_over()
