"""Deadlines and retries, with servers that refuse, come late, are killed, or say nothing."""

from __future__ import annotations

import asyncio
import functools
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest

from penstock.client import AsyncClient, Client, Retries
from penstock.proto import DeadlineExceeded, Overloaded, PayloadError, PenstockError, ServiceError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

NEVER = Retries(attempts=1)
PATIENT = Retries(attempts=1000)  # as long as the deadline lets: a service may take long to start


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.01)


def refuses(status: str, details: str, *trailers: tuple[str, str]) -> Callable[..., Any]:
    def answer(_: bytes, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata(trailers)
        context.abort(grpc.StatusCode[status], details)

    return answer


def replies(status: int, **headers: str) -> Callable[..., Any]:
    return lambda handler, _: handler.reply(status, b"", **headers)


REFUSALS = {
    "grpc": [
        refuses("UNAVAILABLE", "UNAVAILABLE: stopping"),
        refuses("RESOURCE_EXHAUSTED", "OVERLOADED: the queue is full"),
        refuses("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED: the model took longer than 0.1 s"),
    ],
    "http": [replies(503), replies(429), replies(502), replies(504)],
}


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_what_is_refused_at_first_succeeds_in_the_end(grpc_echo: Any, rest_echo: Any, scheme: str) -> None:
    server = grpc_echo if scheme == "grpc" else rest_echo
    server.seen.instead.extend(REFUSALS[scheme])
    with Client(server.address, deadline=30, retries=Retries(first_wait=0.001, longest_wait=0.01)) as client:
        assert client.predict("x").value == "x"
    assert len(server.seen.calls) == len(REFUSALS[scheme]) + 1
    assert len({body for _, _, body in server.seen.calls}) == 1


@pytest.mark.parametrize("scheme", ["grpc", "http"])
async def test_what_is_refused_at_first_succeeds_in_the_end_async(grpc_echo: Any, rest_echo: Any, scheme: str) -> None:
    server = grpc_echo if scheme == "grpc" else rest_echo
    server.seen.instead.extend(REFUSALS[scheme])
    async with AsyncClient(server.address, deadline=30, retries=Retries(first_wait=0.001)) as client:
        assert (await client.predict("x")).value == "x"
    assert len(server.seen.calls) == len(REFUSALS[scheme]) + 1


def test_what_cannot_help_is_not_repeated(grpc_echo: Any, rest_echo: Any) -> None:
    grpc_echo.seen.always = refuses("INVALID_ARGUMENT", "BAD_BASE64: no")
    rest_echo.seen.always = replies(400)
    for server in (grpc_echo, rest_echo):
        with Client(server.address) as client, pytest.raises(PayloadError):
            client.predict("x")
        assert len(server.seen.calls) == 1


def test_attempts_are_counted(grpc_echo: Any) -> None:
    grpc_echo.seen.always = refuses("UNAVAILABLE", "UNAVAILABLE: stopping")
    retries = Retries(attempts=3, first_wait=0.001, longest_wait=0.002)
    with (
        Client(grpc_echo.address, deadline=60, retries=retries) as client,
        pytest.raises(Unavailable, match="stopping"),
    ):
        client.predict("x")
    assert len(grpc_echo.seen.calls) == 3


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_the_service_says_how_long_to_wait(grpc_echo: Any, rest_echo: Any, scheme: str) -> None:
    server = grpc_echo if scheme == "grpc" else rest_echo
    when: list[float] = []

    def note(then: Callable[..., Any]) -> Callable[..., Any]:
        def answer(*args: Any) -> Any:
            when.append(time.monotonic())
            return then(*args)

        return answer

    if scheme == "grpc":
        server.seen.instead.append(
            note(refuses("RESOURCE_EXHAUSTED", "OVERLOADED: x", ("grpc-retry-pushback-ms", "300")))
        )
        server.seen.instead.append(note(lambda body, _: body))
    else:
        server.seen.instead.append(note(replies(429, retry_after="0.3")))
        server.seen.instead.append(note(lambda handler, body: handler.reply(200, body)))
    with Client(server.address, deadline=30, retries=Retries(first_wait=0.001, longest_wait=0.001)) as client:
        client.predict("x")
    assert when[1] - when[0] >= 0.3


def test_a_wait_that_is_longer_than_the_deadline_is_not_begun(rest_echo: Any) -> None:
    rest_echo.seen.always = replies(429, retry_after="3600")
    started = time.monotonic()
    with Client(rest_echo.address, deadline=600) as client, pytest.raises(Overloaded):
        client.predict("x")
    assert time.monotonic() - started < 300
    assert len(rest_echo.seen.calls) == 1


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_service_that_comes_late_is_reached(free_port: int, scheme: str, start_grpc: Any, start_rest: Any) -> None:
    start = start_grpc if scheme == "grpc" else start_rest
    address = f"{scheme}://127.0.0.1:{free_port}"
    with Client(address, deadline=60, retries=PATIENT) as client, ThreadPoolExecutor(1) as pool:
        with pytest.raises(Unavailable):
            Client(address, retries=NEVER).predict("x")
        answer = pool.submit(client.predict, "x", deadline=60)
        time.sleep(0.4)
        server = start(free_port)
        assert answer.result().value == "x"
    assert len(server.seen.calls) == 1


@pytest.mark.parametrize("scheme", ["grpc", "http"])
async def test_a_service_that_comes_late_is_reached_async(
    free_port: int, scheme: str, start_grpc: Any, start_rest: Any
) -> None:
    start = start_grpc if scheme == "grpc" else start_rest
    async with AsyncClient(f"{scheme}://127.0.0.1:{free_port}", deadline=60, retries=PATIENT) as client:
        answer = asyncio.create_task(client.predict("x"))
        await asyncio.sleep(0.4)
        start(free_port)
        assert (await answer).value == "x"


SERVER = """
import sys
sys.path.insert(0, {folder!r})
from conftest import grpc_server, rest_server
server = {make}({port})
if {mute}:
    import time
    server.seen.always = lambda *_: time.sleep(600)
print("up", flush=True)
sys.stdin.read()
"""


def process(make: str, port: int, *, mute: bool = False) -> subprocess.Popen[bytes]:
    code = SERVER.format(folder=str(Path(__file__).parent), make=make, port=port, mute=mute)
    started = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert started.stdout
    assert started.stdout.readline() == b"up\n"
    return started


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_service_killed_in_the_middle_of_a_call(free_port: int, scheme: str) -> None:
    make = "grpc_server" if scheme == "grpc" else "rest_server"
    first, address = process(make, free_port, mute=True), f"{scheme}://127.0.0.1:{free_port}"
    with Client(address, deadline=60, retries=PATIENT) as client, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.predict, np.array([[1.0, 2.0]]))
        time.sleep(0.3)
        assert not answer.done()
        first.kill()
        first.communicate()
        with process(make, free_port) as second:
            assert answer.result().array.tolist() == [[1.0, 2.0]]
            second.kill()
            second.communicate()


def test_feedback_is_only_repeated_where_it_was_not_seen(free_port: int, start_grpc: Any, rest_echo: Any) -> None:
    # Refused by the service itself, or never connected: repeated.
    with Client(f"grpc://127.0.0.1:{free_port}", deadline=60, retries=PATIENT) as client, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.feedback, request="x", reward=1.0)
        time.sleep(0.2)
        server = start_grpc(free_port)
        server.seen.instead.append(refuses("RESOURCE_EXHAUSTED", "OVERLOADED: full"))
        answer.result()
    assert [path for path, _, _ in server.seen.calls] in (
        ["/seldon.protos.Seldon/SendFeedback"] * 2,
        ["/seldon.protos.Seldon/SendFeedback"],
    )
    # A gateway that lost the service may have passed it on: not repeated.
    rest_echo.seen.always = replies(502)
    with Client(rest_echo.address) as client, pytest.raises(Unavailable):
        client.feedback(request="x", reward=1.0)
    assert len(rest_echo.seen.calls) == 1


@pytest.fixture
def silent() -> Any:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_service_that_says_nothing(silent: int, scheme: str) -> None:
    with Client(f"{scheme}://127.0.0.1:{silent}", deadline=0.3) as client:
        with pytest.raises(DeadlineExceeded, match=rf"no answer from {scheme}://127.0.0.1:{silent} within 0.3 s"):
            client.predict("x")
        with pytest.raises(DeadlineExceeded, match=r"within 0.1 s"):
            client.predict("x", deadline=0.1)
        assert not client.ready()


@pytest.mark.parametrize("scheme", ["grpc", "http"])
async def test_a_service_that_says_nothing_async(silent: int, scheme: str) -> None:
    async with AsyncClient(f"{scheme}://127.0.0.1:{silent}", deadline=0.3) as client:
        with pytest.raises(DeadlineExceeded, match=rf"no answer from {scheme}://127.0.0.1:{silent} within 0.3 s"):
            await client.predict("x")
        assert not await client.ready()


def drip(head: bytes) -> tuple[socket.socket, threading.Event]:
    """A server that answers one byte at a time, for as long as anybody listens."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            try:
                connection.sendall(head)
                while not over.wait(0.05):
                    connection.sendall(b"x")
            except OSError:
                over.set()

    threading.Thread(target=serve, daemon=True).start()
    return listener, over


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nx-slow: ", b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n"])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_reply_in_drops_does_not_stretch_the_deadline(head: bytes, is_async: bool) -> None:
    listener, over = drip(head)
    address, deadline = f"http://127.0.0.1:{listener.getsockname()[1]}", 1.0
    with listener:
        client = AsyncClient(address, deadline=deadline) if is_async else Client(address, deadline=deadline)
        with pytest.raises(DeadlineExceeded):
            asyncio.run(client.predict("x")) if isinstance(client, AsyncClient) else client.predict("x")
        # The server only stops because the client has hung up.
        assert over.wait(30)


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_the_deadline_bounds_all_attempts(grpc_echo: Any, rest_echo: Any, scheme: str) -> None:
    server = grpc_echo if scheme == "grpc" else rest_echo
    server.seen.always = refuses("UNAVAILABLE", "UNAVAILABLE: no") if scheme == "grpc" else replies(503)
    retries = Retries(attempts=10_000, first_wait=0.01, longest_wait=0.02)
    with (
        Client(server.address, deadline=2, retries=retries) as client,
        pytest.raises((Unavailable, DeadlineExceeded)),
    ):
        client.predict("x")
    # The last one may still be on its way in there; if it were not the last, it would be quiet for no half a second.
    until(lambda: is_quiet(server))
    assert 3 < len(server.seen.calls) < 1_000


def is_quiet(server: Any) -> bool:
    calls = len(server.seen.calls)
    time.sleep(0.5)
    return len(server.seen.calls) == calls


def held(release: threading.Event, then: Callable[..., Any]) -> Callable[..., Any]:
    """A reply that does not come before ``release`` is set."""

    def answer(*arguments: Any) -> Any:
        release.wait(30)
        return then(*arguments)

    return answer


@pytest.mark.parametrize("scheme", ["grpc", "http"])
async def test_a_task_that_is_cancelled_ends(grpc_echo: Any, rest_echo: Any, scheme: str) -> None:
    server = grpc_echo if scheme == "grpc" else rest_echo
    release = threading.Event()
    server.seen.always = held(release, replies(503) if scheme == "http" else lambda *_: b"")
    async with AsyncClient(server.address, deadline=60) as client:
        task = asyncio.create_task(client.predict("x"))
        assert await asyncio.to_thread(server.seen.arrived.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    release.set()


async def test_closing_fails_what_is_under_way_but_cancels_no_task(grpc_echo: Any) -> None:
    release = threading.Event()
    grpc_echo.seen.always = held(release, lambda *_: b"")
    client = AsyncClient(grpc_echo.address, deadline=60)
    task = asyncio.create_task(client.predict("x"))
    assert await asyncio.to_thread(grpc_echo.seen.arrived.wait, 30)
    await client.close()
    with pytest.raises(ServiceError, match="is closed"):
        await task
    assert not task.cancelled()
    release.set()


def test_closing_fails_what_is_under_way(grpc_echo: Any) -> None:
    release = threading.Event()
    grpc_echo.seen.always = held(release, lambda *_: b"")
    client = Client(grpc_echo.address, deadline=60)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.predict, "x")
        assert grpc_echo.seen.arrived.wait(30)
        client.close()
        with pytest.raises(ServiceError) as caught:
            answer.result()
    assert caught.value.code == "CLIENT_CLOSED"
    release.set()


@pytest.mark.parametrize("settings", [{"attempts": 0}, {"first_wait": 0}, {"first_wait": 2.0, "longest_wait": 1.0}])
def test_retries_that_make_no_sense(settings: dict[str, Any]) -> None:
    with pytest.raises(PenstockError, match="at least one attempt"):
        Retries(**settings)


def test_a_connection_is_kept_for_the_next_call(rest_echo: Any) -> None:
    with Client(rest_echo.address) as client:
        for _ in range(5):
            client.predict("x")
    assert rest_echo.seen.connections == 1


async def test_a_connection_is_kept_for_the_next_call_async(rest_echo: Any) -> None:
    async with AsyncClient(rest_echo.address) as client:
        for _ in range(5):
            await client.predict("x")
    assert rest_echo.seen.connections == 1


def hangs_up(handler: Any, body: bytes) -> None:
    handler.reply(200, body)  # without saying "connection: close"
    handler.close_connection = True


def has_hung_up(server: Any, times: int) -> bool:
    return bool(server.seen.hung_up == times)


def test_a_connection_that_was_closed_meanwhile_is_not_used(rest_echo: Any) -> None:
    rest_echo.seen.always = hangs_up
    with Client(rest_echo.address, retries=NEVER) as client:
        for number in range(1, 4):
            assert client.predict("x").value == "x"
            until(functools.partial(has_hung_up, rest_echo, number))
    assert rest_echo.seen.connections == 3


async def test_a_connection_that_was_closed_meanwhile_is_not_used_async(rest_echo: Any) -> None:
    rest_echo.seen.always = hangs_up
    async with AsyncClient(rest_echo.address, retries=NEVER) as client:
        for number in range(1, 4):
            assert (await client.predict("x")).value == "x"
            await asyncio.to_thread(until, functools.partial(has_hung_up, rest_echo, number))
    assert rest_echo.seen.connections == 3
