"""Our own gRPC engine: what goes wrong on HTTP/2's side of it, and what threads and tasks do to each other."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest

from penstock.client import AsyncClient, Client, Retries, Tls, _engines
from penstock.http2 import frames
from penstock.http2.frames import Code
from penstock.proto import (
    DeadlineExceeded,
    ModelFailure,
    PenstockError,
    RequestError,
    ServiceError,
    SetupError,
    Unauthenticated,
    Unavailable,
)

from .by_hand import OK, ByHand, Conversation, answer, answers, head, says

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ONCE = Retries(attempts=1)
GOAWAY = frames.goaway(0, Code.NO_ERROR)


async def asked_both_ways(address: str, **arguments: Any) -> list[Any]:
    """What a client of threads and one of tasks get: the value, or the error."""
    found: list[Any] = []

    def threaded() -> Any:
        with Client(address, engine="penstock", **arguments) as client:
            return client.predict("x").value

    async def with_tasks() -> Any:
        async with AsyncClient(address, engine="penstock", **arguments) as client:
            return (await client.predict("x")).value

    for ask in (asyncio.to_thread(threaded), with_tasks()):
        try:
            found.append(await ask)
        except PenstockError as error:
            found.append(error)
    return found


@pytest.mark.parametrize("how", ["predict", "feedback"])
async def test_what_the_service_has_surely_not_seen_is_asked_on_another_connection(how: str) -> None:
    with ByHand(says(GOAWAY), answers, says(GOAWAY), answers) as server:
        with Client(server.address, retries=ONCE) as client:
            await asyncio.to_thread(getattr(client, how), **({"value": "x"} if how == "predict" else {"request": "x"}))
        async with AsyncClient(server.address, retries=ONCE) as client_of_tasks:
            await (client_of_tasks.predict("x") if how == "predict" else client_of_tasks.feedback(request="x"))
        assert server.connections == 4


async def test_a_service_that_ends_each_connection_at_once() -> None:
    with ByHand(says(GOAWAY)) as server:
        for error in await asked_both_ways(server.address, retries=ONCE):
            assert type(error) is Unavailable
            assert "ends each connection at once" in error.message


async def test_what_was_answered_before_the_goaway_counts_and_the_next_call_goes_elsewhere() -> None:
    both = says(answer(1), frames.goaway(1, Code.NO_ERROR))
    with ByHand(both, answers) as server, Client(server.address, retries=ONCE) as client:
        assert [(await asyncio.to_thread(client.predict, "x")).value for _ in range(3)] == ["hi"] * 3
        assert server.connections == 2
    with ByHand(both, answers) as server:
        async with AsyncClient(server.address, retries=ONCE) as client_of_tasks:
            assert [(await client_of_tasks.predict("x")).value for _ in range(3)] == ["hi"] * 3
        assert server.connections == 2


BAD_BODIES = [b"", b"\0\0", b"\0\0\0\0\x09hi", b"\x01\0\0\0\x02hi", b"\0\0\0\0\x01hi"]


@pytest.mark.parametrize(
    ("pieces", "kind", "text"),
    [
        ((frames.rst_stream(1, Code.REFUSED_STREAM),), Unavailable, "takes no more calls now"),
        ((frames.rst_stream(1, Code.INTERNAL_ERROR),), Unavailable, "broke during the call: INTERNAL_ERROR"),
        ((frames.frame(frames.PUSH_PROMISE, 4, 1, b"1234"),), Unavailable, "broke during the call: PROTOCOL_ERROR"),
        ((head(1, ("x", "y"), ends=True),), ServiceError, "broken HTTP/2"),
        ((head(1, (":status", "503"), ends=True),), Unavailable, "answered 503 Service Unavailable"),
        ((head(1, (":status", "401"), ends=True),), Unauthenticated, "answered 401"),
        ((head(1, (":status", "403"), ends=True),), RequestError, "answered 403"),
        ((head(1, (":status", "404"), ("content-type", "text/html"), ends=True),), SetupError, "does not speak gRPC"),
        ((head(1, *OK, ends=True),), ServiceError, "without saying whether that was all"),
        ((head(1, *OK, ("grpc-status", "x"), ends=True),), ServiceError, "without saying whether"),
        ((head(1, *OK, ("grpc-status", "99"), ends=True),), ModelFailure, "UNKNOWN and did not say why"),
        ((head(1, *OK, ("grpc-status", "13"), ("grpc-message", "%E2%9C%93 caf%C3%A9%"), ends=True),), ModelFailure,
         "✓ café%"),
        *[((answer(1, body),), ServiceError, "else than one message") for body in BAD_BODIES],
    ],
)  # fmt: skip
async def test_an_answer_that_is_no_success(pieces: tuple[bytes, ...], kind: type[PenstockError], text: str) -> None:
    with ByHand(says(*pieces)) as server:
        for error in await asked_both_ways(server.address, retries=ONCE):
            assert type(error) is kind
            assert text in error.message


async def test_a_call_whose_connection_ends_is_repeated_but_a_feedback_is_not() -> None:
    def ends(conversation: Conversation) -> None:
        conversation.greet()
        conversation.next()

    with ByHand(ends, answers, ends, answers) as server, Client(server.address) as client:
        assert (await asyncio.to_thread(client.predict, "x")).value == "hi"
        assert server.connections == 2
    with ByHand(ends, answers) as server, Client(server.address) as client:
        with pytest.raises(Unavailable, match="broke during the call"):
            await asyncio.to_thread(client.feedback, request="x")
        assert server.connections == 1


async def test_closing_fails_what_is_under_way_on_an_old_connection_too() -> None:
    asked = threading.Event()

    def goes(conversation: Conversation) -> None:
        conversation.greet()
        conversation.next()
        asked.set()
        conversation.next()
        conversation.say(frames.goaway(1, Code.NO_ERROR))  # the first may still be answered, the second not
        conversation.next(-1)

    with ByHand(goes, answers, goes, answers) as server:
        client = Client(server.address, deadline=60)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(client.predict, "x")
            assert await asyncio.to_thread(asked.wait, 60)
            assert (await asyncio.to_thread(client.predict, "y")).value == "hi"
            client.close()
            with pytest.raises(ServiceError, match="is closed"):
                await asyncio.wrap_future(waiting)
        client_of_tasks = AsyncClient(server.address, deadline=60)
        asked.clear()
        task = asyncio.create_task(client_of_tasks.predict("x"))
        assert await asyncio.to_thread(asked.wait, 60)
        assert (await client_of_tasks.predict("y")).value == "hi"
        await client_of_tasks.close()
        with pytest.raises(ServiceError, match="is closed"):
            await task


async def test_closing_does_not_wait_for_a_connection_that_is_being_made() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = f"grpcs://127.0.0.1:{listener.getsockname()[1]}"  # takes connections, but shakes no hands
        client = Client(address, deadline=2)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(client.predict, "x")
            with (await asyncio.to_thread(listener.accept))[0]:
                client.close()
                assert not waiting.done()
                with pytest.raises((ServiceError, DeadlineExceeded)):
                    await asyncio.wrap_future(waiting)
        client_of_tasks = AsyncClient(address, deadline=2)
        task = asyncio.create_task(client_of_tasks.predict("x"))
        with (await asyncio.to_thread(listener.accept))[0]:
            await client_of_tasks.close()
            assert not task.done()
            with pytest.raises((ServiceError, DeadlineExceeded)):
                await task


async def test_a_connection_that_stays_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    # Any time: how long a busy machine takes to connect does not count as silence.
    monkeypatch.setattr("penstock.client._shared.SILENCE", 0.0)
    monkeypatch.setattr("penstock.client._multiplexed.SILENCE", 0.0)
    with ByHand(says(), answers, says(), answers) as server:
        with Client(server.address, deadline=30) as client:
            with pytest.raises(DeadlineExceeded):
                await asyncio.to_thread(client.predict, "x", deadline=0.5)
            assert (await asyncio.to_thread(client.predict, "x")).value == "hi"
        async with AsyncClient(server.address, deadline=30) as client_of_tasks:
            with pytest.raises(DeadlineExceeded):
                await client_of_tasks.predict("x", deadline=0.5)
            assert (await client_of_tasks.predict("x")).value == "hi"


@pytest.mark.parametrize("protocols", [["http/1.1"], []])
async def test_tls_without_http2_in_it(protocols: list[str], tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    if protocols:
        context.set_alpn_protocols(protocols)
    with ByHand(answers, tls=context) as server:
        tls = Tls(ca_file=str(tmp_path / "ca.pem"))
        for error in await asked_both_ways(server.address, tls=tls, deadline=30):
            assert type(error) is SetupError
            assert (error.code, f"write https://127.0.0.1:{server.port}" in error.message) == ("WRONG_PROTOCOL", True)


def test_a_service_that_was_started_anew_between_two_calls(start_grpc: Callable[..., Any], free_port: int) -> None:
    with Client(f"127.0.0.1:{free_port}", retries=ONCE, deadline=30) as client:
        for _ in range(3):
            server = start_grpc(free_port)
            assert client.predict("x").value == "x"
            server.stop()
            while is_connected(free_port):  # what the server closes is not closed here in the same moment
                time.sleep(0.01)


def is_connected(port: int) -> bool:
    """Whether this process has a connection to the port that nobody has closed."""
    open_ = [each for each in psutil.Process().net_connections("tcp") if each.status == psutil.CONN_ESTABLISHED]
    return any(getattr(each.raddr, "port", 0) == port for each in open_)


async def test_tasks_that_give_up_leave_nothing_behind(grpc_echo: Any) -> None:
    def slowly(body: bytes, _: Any) -> bytes:
        time.sleep(0.02)
        return body

    grpc_echo.seen.always = slowly
    async with AsyncClient(grpc_echo.address, deadline=30, engine="penstock") as client:
        assert (await client.predict("first")).value == "first"
        dice = random.Random(5)

        async def one(number: int) -> str:
            try:
                said = await client.predict(f"{number}", deadline=dice.choice([0.001, 0.01, 30]))
            except DeadlineExceeded:
                return "late"
            assert said.value == f"{number}"
            return "answered"

        tasks = [asyncio.create_task(one(number)) for number in range(200)]
        await asyncio.sleep(0.01)
        for task in tasks[::3]:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {each for each in ended if isinstance(each, str)} == {"late", "answered"}
        connection = client._transport._connection  # type: ignore[attr-defined]
        assert connection._http2.is_idle
        assert not connection._ends
        assert (await client.predict("last")).value == "last"


def test_threads_with_large_and_small_messages_and_short_deadlines(grpc_echo: Any) -> None:
    def slowly(body: bytes, _: Any) -> bytes:
        time.sleep(len(body) % 7 / 1000)
        return body

    grpc_echo.seen.always = slowly
    with Client(grpc_echo.address, deadline=60, retries=ONCE, engine="penstock") as client:

        def calls(seed: int) -> int:
            dice, late = random.Random(seed), 0
            for _ in range(15):
                value = np.full((1, dice.choice([1, 3, 50, 200_000])), float(dice.randrange(1_000)))
                try:
                    said = client.predict(value, deadline=dice.choice([0.004, 60, 60]))
                except DeadlineExceeded:
                    late += 1
                else:
                    np.testing.assert_array_equal(said.array, value)
            return late

        with ThreadPoolExecutor(12) as pool:
            late = sum(pool.map(calls, range(12)))
        assert 0 < late < 180
        connection = client._transport._connection  # type: ignore[attr-defined]
        assert connection._http2.is_idle
        assert connection._reader is None
        assert not connection._others
        assert client.predict("last").value == "last"


def test_an_engine_that_there_is_not() -> None:
    with pytest.raises(SetupError, match="there is no engine 'curl' for gRPC; there are penstock and grpcio"):
        Client("127.0.0.1:1", engine="curl")


@pytest.mark.parametrize(
    ("address", "chosen", "expected"),
    [
        ("grpc://models.example", None, "GrpcTransport"),
        ("grpcs://models.example", None, "GrpcTransport"),
        ("grpc://models.example", "penstock", "Http2Transport"),
        ("grpc://127.0.0.1", None, "Http2Transport"),
        ("grpc://127.0.0.1", "grpcio", "GrpcTransport"),
        ("grpc://inside.example", None, "Http2Transport"),
    ],
)
def test_where_there_is_a_proxy_grpcio_calls(
    address: str, chosen: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    with Client(address, engine=chosen) as client:
        assert type(client._transport).__name__ == expected
    assert _engines.OURS == "penstock"


def test_grpcio_is_not_loaded_where_it_is_not_needed() -> None:
    script = (
        "import sys; from penstock.client import AsyncClient, Client\n"
        "Client('127.0.0.1:1').close(); AsyncClient('grpcs://127.0.0.1:1')\n"
        "print('grpc' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
