"""Who has more than a turn's worth waits for another one, once, behind those who ask for one thing."""

from __future__ import annotations

import asyncio
import select
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from penstock.http2 import frames
from penstock.http2.endpoint import Budget
from penstock.http2.limits import Limits
from penstock.serving.doors.connections import Connections
from penstock.serving.doors.exchange import Response
from penstock.serving.doors.http1 import Http1Door
from penstock.serving.doors.http2 import Http2
from penstock.serving.doors.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PING = frames.frame(frames.PING, 0, 0, bytes(8))


class Rounds:
    """An event loop, of which a test has each round and each alarm itself."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []
        self.later: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def call_later(self, _: float, callback: Callable[[], None]) -> None:
        self.later.append(callback)

    def round(self) -> None:
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()

    def alarm(self) -> None:
        later, self.later = self.later, []
        for callback in later:
            callback()


class Times:
    """A clock that stands, and a thread that has work or not."""

    def __init__(self) -> None:
        self.now = 5.0
        self.is_busy = False


@pytest.fixture
async def rounds(monkeypatch: pytest.MonkeyPatch) -> Rounds:
    made = Rounds()
    monkeypatch.setattr("penstock.serving.doors.turns.asyncio", SimpleNamespace(get_running_loop=lambda: made))
    return made


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def turns(rounds: Rounds, times: Times) -> Turns:
    return Turns(lambda: times.is_busy, lambda: times.now)


def test_one_has_a_turn_in_a_round(turns: Turns, rounds: Rounds) -> None:
    had: list[str] = []
    for name in "abc":
        turns.ask(lambda name=name: had.append(name))  # type: ignore[misc]
    for expected in ("a", "ab", "abc", "abc"):
        rounds.round()
        assert "".join(had) == expected
    assert not rounds.soon
    assert not rounds.later


def test_who_asks_again_goes_behind_the_others(turns: Turns, rounds: Rounds) -> None:
    had: list[str] = []

    def of(name: str) -> Callable[[], None]:
        def turn() -> None:
            had.append(name)
            if had.count(name) < 3:
                turns.ask(turn)

        return turn

    turns.ask(of("a"))
    turns.ask(of("b"))
    for _ in range(6):
        rounds.round()
    assert "".join(had) == "ababab"


def test_one_that_fails_leaves_the_others_their_turn(turns: Turns, rounds: Rounds) -> None:
    def fails() -> None:
        raise KeyError

    had: list[str] = []
    turns.ask(fails)
    turns.ask(lambda: had.append("a"))
    with pytest.raises(KeyError):
        rounds.round()
    rounds.round()
    assert had == ["a"]


def test_the_patient_hold_nobody_up(turns: Turns, rounds: Rounds) -> None:
    had: list[str] = []
    for name in "abcd":
        turns.ask(lambda name=name: had.append(name), patient=True)  # type: ignore[misc]
    for name in "xy":
        turns.ask(lambda name=name: had.append(name))  # type: ignore[misc]
    for _ in range(12):
        rounds.round()
        rounds.alarm()
    assert "".join(had) == "axbycd"


@pytest.mark.parametrize("patient", [False, True])
@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize("is_busy", [False, True])
def test_others_go_first_for_a_while(
    turns: Turns, rounds: Rounds, times: Times, patient: bool, others: bool, is_busy: bool
) -> None:
    had: list[int] = []
    turns.ask(lambda: had.append(1), patient=patient)
    times.now += 0.001 * others
    times.is_busy = is_busy
    rounds.round()
    assert len(had) == (not (patient or others or is_busy))
    rounds.alarm()
    assert len(had) == 1


class Transport:
    """What a protocol writes, and whether it reads."""

    def __init__(self, **about: Any) -> None:
        self.sent = b""
        self.reads = True
        self._about = about

    def get_extra_info(self, name: str) -> Any:
        return self._about.get(name)

    def write(self, data: bytes) -> None:
        self.sent += data

    def pause_reading(self) -> None:
        assert self.reads
        self.reads = False

    def resume_reading(self) -> None:
        assert not self.reads
        self.reads = True

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, *_: int) -> None:
        pass


class Queue:
    """Keeps what asks for a turn."""

    def __init__(self) -> None:
        self.asked: list[tuple[Callable[[], None], bool]] = []

    def ask(self, turn: Callable[[], None], *, patient: bool = False) -> None:
        self.asked.append((turn, patient))


@pytest.fixture
async def connections() -> Any:
    made: Any = Connections()
    made.turns = Queue()
    yield made
    made._timer.cancel()
    made.arrivals.close()


class Pages:
    """Answers everything at once."""

    limits = SimpleNamespace(message_bytes=1000)

    def find(self, method: bytes, _: bytes) -> Any:
        return SimpleNamespace(method=method, wants_body=method == b"POST")

    def short(self, *_: Any) -> None:
        return None

    def refuse(self, *_: Any) -> Response:
        return Response(b"no", 400)

    async def answer(self, *_: Any) -> Response:
        return Response(b"pong", 200)


async def test_http1_is_in_the_queue_once(connections: Any) -> None:
    queue, transport = connections.turns.asked, Transport()
    http1 = Http1Door(Pages(), connections)()  # type: ignore[arg-type]
    http1.connection_made(transport)
    http1.data_received(GET * 30)
    turns = []
    while queue:
        turns.append(transport.sent.count(b"pong"))
        assert not transport.reads
        http1.resume_writing()  # such calls come at any time
        [(turn, _)] = queue
        queue.clear()
        turn()
    assert turns == [8, 16, 24]
    assert transport.sent.count(b"pong") == 30
    assert transport.reads


@pytest.mark.parametrize(
    "last", [b"no HTTP\r\n\r\n", b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"]
)
async def test_a_turn_leaves_a_caller_alone_that_has_gone(connections: Any, last: bytes) -> None:
    transport: Any = Transport()
    http1 = Http1Door(Pages(), connections)()  # type: ignore[arg-type]
    http1.connection_made(transport)
    http1.data_received(GET * 7 + last)
    transport.is_closing = lambda: True
    http1.connection_lost(None)
    sent = transport.sent
    connections.turns.asked.pop()[0]()
    assert (transport.sent, connections.turns.asked) == (sent, [])


@pytest.fixture
async def http2(connections: Any) -> Http2:
    door: Any = SimpleNamespace(limits=Limits(toll=1000, toll_rate=0), budget=Budget(1 << 20))
    return Http2(door, connections)


def test_http2_waits_for_a_turn_and_does_not_read_meanwhile(http2: Http2, connections: Any) -> None:
    queue, transport = connections.turns.asked, Transport()
    http2.connection_made(transport)
    http2.data_received(frames.PREFACE + frames.settings({}) + PING * 100)
    assert [patient for _, patient in queue] == [False]
    assert not transport.reads
    while queue:
        queue.pop()[0]()
    assert transport.sent.count(frames.frame(frames.PING, frames.ACK, 0, bytes(8))) == 100
    assert transport.reads


def test_http2_that_is_trying_reads_once_in_a_turn_over_tls(http2: Http2, connections: Any) -> None:
    queue, transport = connections.turns.asked, Transport(ssl_object=object())
    http2.connection_made(transport)
    http2.data_received(frames.PREFACE + frames.settings({}))
    for _ in range(8):
        http2.data_received(PING * 40)
        while queue and not transport.reads:
            queue.pop()[0]()
    http2.data_received(PING)  # few, but it has had its share
    assert [patient for _, patient in queue] == [True]
    assert not transport.reads
    queue.pop()[0]()
    assert transport.reads
    assert not queue


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


async def _rounds() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="needs epoll")
async def test_http2_that_is_trying_is_read_by_hand_when_something_has_come(
    http2: Http2, connections: Any, pair: tuple[socket.socket, socket.socket]
) -> None:
    queue, (ours, theirs), transport = connections.turns.asked, pair, Transport(socket=pair[0])
    http2.connection_made(transport)
    http2.data_received(frames.PREFACE + frames.settings({}) + PING * 300)
    while queue:
        queue.pop()[0]()
    for _ in range(3):  # nothing has come: it is neither read nor in the queue
        await _rounds()
        assert (transport.reads, queue) == (False, [])
        sent = len(transport.sent)
        theirs.sendall(PING)
        await _rounds()
        assert [patient for _, patient in queue] == [True]
        assert len(transport.sent) == sent
        queue.pop()[0]()
        assert len(transport.sent) == sent + len(PING)
    theirs.close()
    await _rounds()
    queue.pop()[0]()
    assert transport.reads  # the transport sees for itself that the peer has gone
    assert ours.recv(1) == b""


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="needs epoll")
async def test_who_does_not_read_is_not_read_by_hand_either(
    http2: Http2, connections: Any, pair: tuple[socket.socket, socket.socket]
) -> None:
    queue, (ours, theirs) = connections.turns.asked, pair
    http2.connection_made(Transport(socket=ours))
    http2.data_received(frames.PREFACE + frames.settings({}) + PING * 300)
    while queue:
        queue.pop()[0]()
    http2._paused = True
    http2._sender.out = [b"x"] * 2000
    theirs.sendall(PING)
    await _rounds()
    queue.pop()[0]()
    assert ours.recv(100) == PING


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="needs epoll")
async def test_a_connection_that_is_lost_is_not_watched(
    http2: Http2, connections: Any, pair: tuple[socket.socket, socket.socket]
) -> None:
    queue, (_, theirs) = connections.turns.asked, pair
    http2.connection_made(Transport(socket=pair[0]))
    http2.data_received(frames.PREFACE + frames.settings({}) + PING * 300)
    while queue:
        queue.pop()[0]()
    assert connections.arrivals._waiting
    pair[0].close()
    http2.connection_lost(None)
    theirs.close()
    await _rounds()
    assert not connections.arrivals._waiting
    assert not queue


def test_a_turn_leaves_a_connection_alone_that_has_gone(http2: Http2, connections: Any) -> None:
    transport: Any = Transport()
    http2.connection_made(transport)
    http2.data_received(frames.PREFACE + frames.settings({}) + PING * 100)
    transport.is_closing = lambda: True
    sent = transport.sent
    connections.turns.asked.pop()[0]()
    assert (transport.sent, connections.turns.asked) == (sent, [])
