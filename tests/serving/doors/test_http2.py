"""Our HTTP/2 door: a real listener with a handler of the test's own, so that what it holds can be looked at."""

from __future__ import annotations

import asyncio
import functools
import gc
import gzip
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc
import pytest

from penstock.proto import Limits, PayloadError
from penstock.serving.doors.connections import Connections
from penstock.serving.doors.exchange import Door, Request, Response, Route
from penstock.serving.doors.grpc_calls import GrpcCalls
from penstock.serving.doors.http2 import Http2, Http2Door
from penstock.serving.doors.http2_rest import RestCalls
from penstock.serving.doors.rest import Rest
from penstock.serving.doors.routing import Router
from penstock.serving.doors.rpc import RpcDoor
from penstock.serving.doors.seldon_rest import failure
from penstock.serving.metrics import Metrics

from ..wire_client import DATA, END_STREAM, PING, RST_STREAM, Fields, WireClient, connected, frame, grpc_fields, message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from penstock.serving.doors.grpc_streams import StreamCall
    from penstock.serving.doors.rpc import Call

MOST = 4 << 20
MEGABYTE = 1 << 20


@dataclass
class Listening:
    """A listener whose protocols can be looked at."""

    address: str = ""
    metrics: Metrics = field(default_factory=lambda: Metrics("m"))
    protocols: list[Http2] = field(default_factory=list)
    started: int = 0
    cancelled: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    connections: Connections = field(default_factory=Connections)
    raised: list[weakref.ref[Exception]] = field(default_factory=list)

    async def rest(self, request: Request) -> Response:
        return Response(
            request.body or bytes(int(request.query or b"0")), headers=((b"x-asked", request.method.encode()),)
        )

    async def echo(self, call: Call) -> bytes:
        return call.body

    async def big(self, call: Call) -> bytes:
        self.started += 1
        return bytes(int(call.body))

    async def wait(self, call: Call) -> bytes:
        self.started += 1
        # The future itself, as our handlers have it: there is no task that could wait for anything else.
        waiting = asyncio.ensure_future(self.go_on.wait())
        try:
            await waiting
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return call.body

    async def refuse(self, call: Call) -> bytes:
        error = PayloadError(f"{len(call.body)} bytes", code="NO")
        self.raised.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    async def each(self, call: StreamCall) -> None:
        while (body := await call.receive()) is not None:
            call.send(body)

    async def deaf(self, call: StreamCall) -> None:
        await self.go_on.wait()

    async def metadata(self, call: Call) -> bytes:
        return repr([item for item in call.metadata if item[0].startswith("x-")]).encode()

    def held(self) -> int:
        """Bytes that wait for a peer."""
        return sum(protocol._sender.held + protocol._transport.get_write_buffer_size() for protocol in self.protocols)


@pytest.fixture
async def door() -> AsyncIterator[Listening]:
    door = Listening()
    methods = {f"/t.T/{name}": getattr(door, name) for name in ("echo", "big", "wait", "refuse", "metadata")}
    connections = door.connections
    rest_door = Door("r", [Route(("GET", "POST"), "/echo", "echo", door.rest)], failure)
    rest = Rest(Router([rest_door]), lambda _: rest_door, Limits(message_bytes=MOST), door.metrics)
    calls = GrpcCalls([RpcDoor("t", methods)], {"/t.T/each": door.each, "/t.T/deaf": door.deaf}, door.metrics, MOST)
    shared = Http2Door(calls, RestCalls(rest), MOST)

    def protocol() -> Http2:
        made = Http2(shared, connections)
        door.protocols.append(made)
        return made

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    door.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield door
    server.close()
    await connections.stop(5)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what is under way; the test's time-out ends it where it never comes."""
    while not condition():  # noqa: ASYNC110  (what is looked at is not told of its test)
        await asyncio.sleep(0.01)


def _has_come(client: WireClient, number: int, text: bytes) -> bool:
    return bytes(client.answers[number].body).endswith(message(text))


def rest_fields(method: bytes, path: bytes) -> Fields:
    return [(b":method", method), (b":scheme", b"http"), (b":path", path), (b":authority", b"h")]


async def test_both_kinds_of_calls_on_one_connection(door: Listening) -> None:
    async with connected(door.address) as client:
        for count in range(3):
            answer = await client.unary("/t.T/echo", b"hi")
            assert (answer.status, bytes(answer.body)) == (0, message(b"hi"))
            number = client.headers([*rest_fields(b"POST", b"/echo"), (b"content-type", b"text/plain")])
            await client.body(number, b"body %d" % count)
            answer = await client.answer(number)
            assert (answer.fields[b":status"], bytes(answer.body)) == (b"200", b"body %d" % count)
            assert (answer.fields[b"x-asked"], answer.fields[b"content-length"]) == (b"POST", b"6")


async def test_rest_without_a_body_either_way(door: Listening) -> None:
    async with connected(door.address) as client:
        answer = await client.answer(client.headers(rest_fields(b"GET", b"/echo?3"), 5))
        assert (answer.fields[b":status"], bytes(answer.body)) == (b"200", bytes(3))
        answer = await client.answer(client.headers(rest_fields(b"HEAD", b"/echo?3"), 5))
        assert (answer.fields[b"content-length"], bytes(answer.body)) == (b"3", b"")
        answer = await client.answer(client.headers(rest_fields(b"GET", b"/nowhere"), 5))
        assert answer.fields[b":status"] == b"404"
        answer = await client.answer(client.headers(rest_fields(b"DELETE", b"/echo"), 5))
        assert answer.fields[b":status"] == b"405"


@pytest.mark.parametrize("says", [True, False])
async def test_a_rest_body_that_is_too_large(door: Listening, says: bool) -> None:
    async with connected(door.address) as client:
        fields = [*rest_fields(b"POST", b"/echo"), *([(b"content-length", b"%d" % (MOST + 1))] if says else [])]
        number = client.headers(fields)
        await client.body(number, bytes(0 if says else MOST + 1), ends=not says)
        assert (await client.answer(number)).fields[b":status"] == b"413"
        assert (await client.unary("/t.T/echo", b"next")).status == 0


async def test_large_messages_both_ways(door: Listening) -> None:
    body = bytes(range(256)) * (MOST // 256)
    async with connected(door.address) as client:
        answers = await asyncio.gather(*(client.unary("/t.T/echo", body[: MOST - count]) for count in range(4)))
    assert [bytes(answer.body) == message(body[: MOST - count]) for count, answer in enumerate(answers)] == [True] * 4


async def test_what_comes_behind_a_large_message_is_passed_over(door: Listening) -> None:
    body = bytes(range(256)) * 6000
    async with connected(door.address) as client:
        for behind in (b"\0", bytes(300_000)):
            number = client.headers(grpc_fields("/t.T/echo"))
            await client.body(number, message(body) + behind)
            assert (await client.answer(number)).body == message(body)
        number = client.headers(grpc_fields("/t.T/echo"))
        await client.body(number, message(body)[:-1])
        answer = await client.answer(number)
    assert (answer.status, answer.details) == (13, b"the body ends within the message")


async def test_a_call_that_was_refused_leaves_nothing(door: Listening) -> None:
    gc.disable()
    try:
        async with connected(door.address) as client:
            assert (await client.unary("/t.T/refuse", bytes(MEGABYTE))).status == 3
        assert [raised() for raised in door.raised] == [None]
    finally:
        gc.enable()


async def test_a_message_that_is_too_large_is_refused_by_its_prefix(door: Listening) -> None:
    async with connected(door.address) as client:
        number = client.headers(grpc_fields("/t.T/echo"))
        await client.body(number, b"\0" + (MOST + 1).to_bytes(4) + bytes(MEGABYTE), ends=False)
        answer = await client.answer(number)
        assert (answer.status, answer.details) == (
            8, f"SERVER: Received message larger than max ({MOST + 1} vs. {MOST})".encode()
        )  # fmt: skip
        answer = await client.unary("/t.T/big", b"%d" % (MOST + 1))
        assert (answer.status, answer.details) == (
            8, f"SERVER: Sent message larger than max ({MOST + 1} vs. {MOST})".encode()
        )  # fmt: skip


async def test_compressed_messages_are_read_and_bombs_are_not(door: Listening) -> None:
    async with connected(door.address) as client:
        fields = [*grpc_fields("/t.T/echo"), (b"grpc-encoding", b"gzip")]
        for body, status in ((b"text" * 100, 0), (bytes(MOST + 1), 8)):
            number = client.headers(fields)
            await client.body(number, message(gzip.compress(body), 1))
            assert (await client.answer(number)).status == status


async def test_metadata_as_text_and_as_bytes(door: Listening) -> None:
    async with connected(door.address) as client:
        answer = await client.unary(
            "/t.T/metadata", b"", [(b"x-a", b"1"), (b"x-b-bin", b"AAEC"), (b"x-b-bin", b"/w==")]
        )
    assert eval(bytes(answer.body[5:])) == [("x-a", "1"), ("x-b-bin", b"\0\1\2"), ("x-b-bin", b"\xff")]


async def test_a_call_of_many_messages(door: Listening) -> None:
    async with connected(door.address) as client:
        number = client.headers(grpc_fields("/t.T/each"))
        for text in (b"one", b"two"):
            await client.body(number, message(text), ends=False)
            await until(functools.partial(_has_come, client, number, text))
        await client.body(number, b"")
        answer = await client.answer(number)
        assert (answer.status, bytes(answer.body)) == (0, message(b"one") + message(b"two"))


async def test_a_call_of_many_messages_that_is_given_up_at_once(door: Listening) -> None:
    async with connected(door.address) as client:
        number = client.headers(grpc_fields("/t.T/each"))
        client.send(frame(RST_STREAM, 0, number, (8).to_bytes(4)))
        assert (await client.unary("/t.T/echo", b"hi")).status == 0


async def test_a_call_of_many_messages_that_are_not_read_is_ended(door: Listening) -> None:
    async with connected(door.address) as client:
        number = client.headers(grpc_fields("/t.T/deaf"))
        await client.body(number, bytes(MEGABYTE), ends=False)
        assert (await client.answer(number)).reset == 11


async def test_whoever_gives_up_ends_the_handler(door: Listening) -> None:
    async with connected(door.address) as client:
        numbers = [client.headers(grpc_fields("/t.T/wait")) for _ in range(3)]
        for number in numbers:
            await client.body(number, message(b"x"))
        await until(lambda: door.started == 3)
        client.send(frame(RST_STREAM, 0, numbers[0], (8).to_bytes(4)))
        await until(lambda: door.cancelled == 1)
    await until(lambda: door.cancelled == 3)
    assert door.metrics.exposition().count(b'status="CANCELLED"} 3') == 1


async def test_a_handler_that_does_not_look_at_the_deadline_is_ended_all_the_same(door: Listening) -> None:
    async with connected(door.address) as client:
        answer = await client.unary("/t.T/wait", b"x", [(b"grpc-timeout", b"100m")])
    assert (answer.status, answer.details, door.cancelled) == (4, b"Deadline Exceeded", 1)


async def test_a_stream_has_a_timer_of_its_own(door: Listening) -> None:
    door.connections._timer.cancel()  # nobody looks for what is late
    async with connected(door.address) as client:
        number = client.headers([*grpc_fields("/t.T/deaf"), (b"grpc-timeout", b"100m")])
        answer = await client.answer(number)
        assert (answer.status, answer.details) == (4, b"Deadline Exceeded")
        number = client.headers([*grpc_fields("/t.T/deaf"), (b"grpc-timeout", b"soon")])
        assert (await client.answer(number)).details == b"Error parsing 'grpc-timeout' metadata"


async def test_many_bodies_side_by_side_are_all_taken(door: Listening) -> None:
    """So many that the connection is read by hand, and the others are served meanwhile."""
    body = bytes(range(256)) * 400
    async with connected(door.address) as asking, connected(door.address) as client:
        numbers = [client.headers(grpc_fields("/t.T/echo")) for _ in range(300)]
        for number in numbers:
            await client.body(number, message(body)[:70_000], ends=False)
        await until(lambda: door.protocols[1]._connection.hoards)
        assert (await asking.unary("/t.T/echo", b"hi")).status == 0
        for number in numbers:
            await client.body(number, message(body)[70_000:])
        answers = [await client.answer(number) for number in numbers]
        assert [bytes(answer.body) == message(body) for answer in answers] == [True] * 300
        assert not door.protocols[1]._connection.hoards
    await until(lambda: not len(door.connections))


async def test_a_peer_that_does_not_read_is_not_read_either(door: Listening) -> None:
    """All windows open, nothing read: what we hold stays within what was asked before we noticed."""
    async with connected(door.address) as asking, connected(door.address, reads=False) as client:
        for _ in range(40):
            number = client.headers(grpc_fields("/t.T/big"))
            client.send(frame(DATA, END_STREAM, number, message(b"%d" % MEGABYTE)))
            await asyncio.sleep(0.005)
        for _ in range(40):
            assert (await asking.unary("/t.T/echo", b"hi")).status == 0
        assert door.started < 20
        assert door.held() < 20 * MEGABYTE


async def test_windows_that_stay_shut_hold_up_nobody_else(door: Listening) -> None:
    async with connected(door.address, window=100) as client:
        number = client.headers(grpc_fields("/t.T/big"))
        client.send(frame(DATA, END_STREAM, number, message(b"%d" % MEGABYTE)))
        await until(lambda: door.started == 1)
        for _ in range(20):
            assert (await client.unary("/t.T/echo", b"hi")).status == 0
        assert MEGABYTE - 100 <= door.held() <= MEGABYTE


async def test_answers_that_nobody_takes_are_bounded(door: Listening) -> None:
    async with connected(door.address, window=0) as client:
        numbers = []
        for _ in range(80):
            numbers.append(client.headers(grpc_fields("/t.T/big")))
            client.send(frame(DATA, END_STREAM, numbers[-1], message(b"%d" % MOST)))
        answer = await client.answer(numbers[-1])
        assert (answer.status, b"wait to be read" in answer.details) == (8, True)
        assert door.held() < 260 * MEGABYTE


async def test_floods_of_pings_from_a_peer_that_does_not_read(door: Listening) -> None:
    async with connected(door.address) as asking, connected(door.address, reads=False) as client:
        for _ in range(20):
            client.send(frame(PING, 0, 0, bytes(8)) * 1000)
            await asyncio.sleep(0.01)
            assert (await asking.unary("/t.T/echo", b"hi")).status == 0
        await until(lambda: door.protocols[1]._connection.ended)
        assert door.held() < MEGABYTE


async def test_a_stop_answers_what_came_and_takes_nothing_new(door: Listening) -> None:
    async with connected(door.address) as client:
        number = client.headers(grpc_fields("/t.T/wait"))
        await client.body(number, message(b"last"))
        await until(lambda: door.started == 1)
        stopping = asyncio.create_task(door.connections.stop(30))
        await until(lambda: client.goaway is not None)
        assert client.goaway is not None
        assert client.goaway[:2] == (number, 0)
        door.go_on.set()
        answer = await client.answer(number)
        assert (answer.status, bytes(answer.body)) == (0, message(b"last"))
        await stopping


async def test_a_stop_does_not_wait_for_ever(door: Listening) -> None:
    async with connected(door.address) as client:
        number = client.headers(grpc_fields("/t.T/wait"))
        await client.body(number, message(b"x"))
        await until(lambda: door.started == 1)
        await door.connections.stop(0.1)
        assert (await client.answer(number)).lost
    await until(lambda: door.cancelled == 1)


async def test_grpcio_talks_to_it(door: Listening) -> None:
    options = [("grpc.max_receive_message_length", -1)]
    async with grpc.aio.insecure_channel(door.address, options=options) as channel:
        echo = channel.unary_unary("/t.T/echo", None, None)
        answers = await asyncio.gather(*(echo(b"%d" % count) for count in range(500)))
        assert answers == [b"%d" % count for count in range(500)]
        body = bytes(MOST)
        assert await echo(body) == body
        assert await echo(body, compression=grpc.Compression.Gzip) == body
        waiting = channel.unary_unary("/t.T/wait", None, None)(b"x")
        await until(lambda: door.started == 1)
        waiting.cancel()
        await until(lambda: door.cancelled == 1)
