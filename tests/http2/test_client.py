"""The client's side: against our own server's side, and against a peer that speaks by hand."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hpack import Encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.http2 import frames
from penstock.http2.client import ClientConnection
from penstock.http2.connection import Connection
from penstock.http2.exchanges import Exchange, Failure, Request
from penstock.http2.frames import Code, Setting
from penstock.http2.limits import Limits

from .conftest import ASK, Echo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.http2.field_blocks import Fields

LARGEST = 1 << 20
OK = ((b":status", b"200"), (b"content-type", b"x/y"))
END = ((b"x-end", b"yes"),)


def client(answer_bytes: int = LARGEST) -> ClientConnection:
    return ClientConnection(lambda fields: fields, answer_bytes)


def request(body: bytes = b"", block: bytes = b"") -> Request:
    return Request(ASK, block, b"lead", body)


def sent(connection: ClientConnection) -> bytes:
    written = b""
    while pieces := connection.to_send():
        written += b"".join(pieces)
    return written


class Peer:
    """A server by hand: what it is told to say goes to the client."""

    def __init__(self, connection: ClientConnection, values: dict[Setting, int] | None = None) -> None:
        self.connection = connection
        self.encoder = Encoder()
        connection.feed(frames.settings(values or {}))
        sent(connection)

    def says(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        self.connection.feed(frames.frame(kind, flags, stream, payload))

    def fields(self, stream: int, fields: Fields, flags: int = frames.END_HEADERS) -> None:
        self.says(frames.HEADERS, flags, stream, self.encoder.encode(fields, huffman=True))

    def answers(self, stream: int, body: bytes = b"answer") -> None:
        self.fields(stream, OK)
        self.says(frames.DATA, 0, stream, body)
        self.fields(stream, END, frames.END_HEADERS | frames.END_STREAM)

    def heard(self) -> list[tuple[int, int, int, bytes]]:
        data, at, found = sent(self.connection), 0, []
        while at < len(data):
            high, low, kind, flags, number = frames.HEAD.unpack_from(data, at)
            size = high << 8 | low
            found.append((kind, flags, number, data[at + 9 : at + 9 + size]))
            at += 9 + size
        return found


def reason(exchange: Exchange) -> Failure:
    assert exchange.is_over
    assert exchange.failed
    return exchange.failed.reason


def together(ours: ClientConnection, theirs: Connection, *, step: int = 1 << 30) -> None:
    """Carry bytes both ways until there are none, ``step`` at a time."""
    while True:
        there = sent(ours)
        theirs.pump()
        for at in range(0, len(there), step):
            theirs.feed(there[at : at + step])
            while theirs.more:
                theirs.feed(b"")
        theirs.pump()
        back = b"".join(theirs.sender.out)
        theirs.sender.out, theirs.sender.room = [], 1 << 20
        for at in range(0, len(back), step):
            ours.feed(back[at : at + step])
            while ours.more:
                ours.feed(b"")
        if not there and not back:
            return


def server(**limits: Any) -> tuple[Echo, Connection]:
    echo = Echo()
    echo.most = 1 << 40
    echo.connection = Connection(echo, Limits(**limits))
    return echo, echo.connection


@pytest.mark.parametrize("size", [0, 1, 4_000, 16_384, 16_385, 70_000, 900_000])
@pytest.mark.parametrize("step", [7_919, 1 << 30])
def test_what_is_asked_comes_back(size: int, step: int) -> None:
    ours, (_, theirs) = client(), server(window=100_000, frame=16_384)
    bodies = [bytes([number]) * size for number in range(3)]
    exchanges = [ours.ask(request(body)) for body in bodies]
    together(ours, theirs, step=step)
    assert [exchange.body() for exchange in exchanges] == [b"lead" + body for body in bodies]
    assert ours.over == exchanges
    assert not any(exchange.failed for exchange in exchanges)
    assert ours.is_idle
    assert ours.is_open


def test_many_more_than_the_peer_takes_at_once() -> None:
    ours, (echo, theirs) = client(), server(streams=3)
    exchanges = [ours.ask(request(b"%d" % number)) for number in range(500)]
    together(ours, theirs)
    assert [exchange.body() for exchange in exchanges if not exchange.failed][-400:] == [
        b"lead%d" % number for number in range(100, 500)
    ]
    # What left before the peer had said how much it takes was refused, and so has surely not been seen.
    refused = [exchange for exchange in exchanges if exchange.failed]
    assert all(exchange.failed and exchange.failed.is_unseen for exchange in refused)
    assert len(echo.requests) == 500 - len(refused)


def test_who_waits_for_a_turn_can_give_up() -> None:
    ours = client()
    peer = Peer(ours, {Setting.MAX_CONCURRENT_STREAMS: 1})
    first, second, third = (ours.ask(request()) for _ in range(3))
    ours.give_up(second)
    assert reason(second) is Failure.GIVEN_UP
    peer.answers(1)
    assert [number for kind, _, number, _ in peer.heard() if kind == frames.HEADERS] == [1, 3]
    peer.answers(3)
    assert ours.over == [first, third]


def test_a_request_that_was_given_up_is_taken_back() -> None:
    ours = client()
    peer = Peer(ours)
    exchange = ours.ask(request())
    ours.give_up(exchange)
    assert peer.heard()[-1] == (frames.RST_STREAM, 0, 1, Code.CANCEL.to_bytes(4))
    peer.answers(1)  # was on its way
    assert ours.over == []
    assert ours.is_open
    following = ours.ask(request())
    peer.answers(3)  # with what hpack has learnt from the answer that nobody wanted
    assert following.head == OK


def test_the_windows_are_kept_to() -> None:
    ours = client()
    peer = Peer(ours, {Setting.INITIAL_WINDOW_SIZE: 10})
    exchange = ours.ask(request(b"x" * 50))
    assert sum(len(payload) for kind, _, _, payload in peer.heard() if kind == frames.DATA) == 10
    peer.says(frames.SETTINGS, 0, 0, frames.settings({Setting.INITIAL_WINDOW_SIZE: 15})[9:])
    assert [payload for kind, _, _, payload in peer.heard() if kind == frames.DATA] == [b"x" * 5]
    peer.says(frames.SETTINGS, 0, 0, frames.settings({Setting.INITIAL_WINDOW_SIZE: 0})[9:])
    peer.says(frames.WINDOW_UPDATE, 0, 1, (15).to_bytes(4))
    assert not [kind for kind, *_ in peer.heard() if kind == frames.DATA]  # 15 below zero, RFC 9113, 6.9.2
    peer.says(frames.WINDOW_UPDATE, 0, 1, (39).to_bytes(4))
    *_, (_, flags, _, payload) = peer.heard()
    assert (flags, payload) == (frames.END_STREAM, b"x" * 39)
    assert not exchange.is_over


def test_an_answer_before_the_request_was_sent_whole() -> None:
    ours = client()
    peer = Peer(ours, {Setting.INITIAL_WINDOW_SIZE: 10})
    exchange = ours.ask(request(b"x" * 50))
    peer.heard()
    peer.answers(1)
    assert exchange.body() == b"answer"
    assert peer.heard() == [(frames.RST_STREAM, 0, 1, Code.CANCEL.to_bytes(4))]


def test_goaway_tells_what_was_not_seen() -> None:
    ours = client()
    peer = Peer(ours)
    exchanges = [ours.ask(request()) for _ in range(3)]
    peer.says(frames.GOAWAY, 0, 0, (3).to_bytes(4) + Code.NO_ERROR.to_bytes(4))
    assert ours.over == exchanges[2:]
    assert exchanges[2].is_refused
    assert not ours.is_open
    peer.answers(1)
    peer.answers(3)
    assert [exchange.failed for exchange in exchanges[:2]] == [None, None]
    assert ours.is_idle


@pytest.mark.parametrize(("code", "unseen"), [(Code.REFUSED_STREAM, True), (Code.INTERNAL_ERROR, False), (99, False)])
def test_a_stream_that_the_peer_resets(code: int, unseen: bool) -> None:
    ours = client()
    peer = Peer(ours)
    exchange, other = ours.ask(request()), ours.ask(request())
    peer.says(frames.RST_STREAM, 0, 1, code.to_bytes(4))
    assert reason(exchange) is Failure.RESET
    assert exchange.failed
    assert exchange.failed.is_unseen is unseen
    peer.answers(3)
    assert other.failed is None


@pytest.mark.parametrize("text", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"<!DOCTYPE html>", b"\x15\x03\x03\0\x02\x02F"])
def test_what_is_no_http2(text: bytes) -> None:
    ours = client()
    exchange = ours.ask(request())
    ours.feed(text)
    ours.lose("closed")
    assert reason(exchange) in (Failure.FOREIGN, Failure.LOST)
    assert exchange.failed
    assert exchange.failed.is_unseen
    assert ours.ended


def test_a_connection_that_is_lost() -> None:
    ours = client()
    Peer(ours, {Setting.MAX_CONCURRENT_STREAMS: 1})
    asked, queued = ours.ask(request()), ours.ask(request())
    ours.lose("gone")
    ours.lose("twice")
    assert [reason(each) for each in ours.over] == [Failure.LOST] * 2
    assert asked.failed == (Failure.LOST, "gone", False)
    assert queued.is_over


def test_an_answer_that_is_too_large() -> None:
    ours = client(answer_bytes=10)
    peer = Peer(ours)
    exchange = ours.ask(request())
    peer.fields(1, OK)
    peer.says(frames.DATA, 0, 1, b"x" * 11)
    assert reason(exchange) is Failure.TOO_LARGE
    peer.says(frames.DATA, 0, 1, b"x" * 11)
    assert ours.is_open
    assert ours.over == [exchange]


def test_informational_answers_and_padding_and_continuation() -> None:
    ours = client()
    peer = Peer(ours)
    exchange = ours.ask(request())
    peer.fields(1, ((b":status", b"103"), (b"link", b"x")))
    block = peer.encoder.encode(OK)
    peer.says(frames.HEADERS, frames.PADDED | frames.HAS_PRIORITY, 1, b"\x03" + b"\0\0\0\0\x10" + block[:1] + b"\0" * 3)
    peer.says(frames.CONTINUATION, frames.END_HEADERS, 1, block[1:])
    peer.says(frames.DATA, frames.PADDED, 1, b"\x05answer" + b"\0" * 5)
    peer.says(0xFA, 0, 1, b"unknown")
    peer.says(frames.DATA, frames.PADDED | frames.END_STREAM, 1, b"\0")
    assert (exchange.head, exchange.body(), exchange.trailers) == (OK, b"answer", None)
    assert exchange.failed is None


BAD_ANSWERS: list[Sequence[tuple[int, int, Fields | bytes]]] = [
    [(frames.HEADERS, 5, ((b"content-type", b"x"),))],
    [(frames.HEADERS, 5, ((b":status", b"20"),))],
    [(frames.HEADERS, 5, ((b":status", b"100"),))],
    [(frames.HEADERS, 5, ((b":status", b"200"), (b":status", b"200")))],
    [(frames.HEADERS, 5, ((b":status", b"200"), (b"Upper", b"x")))],
    [(frames.HEADERS, 5, ((b":status", b"200"), (b"x", b"a\nb")))],
    [(frames.HEADERS, 4, OK), (frames.HEADERS, 4, END)],
    [(frames.HEADERS, 4, OK), (frames.HEADERS, 5, OK)],
    [(frames.HEADERS, 4, ((b":status", b"200"), (b"x", b"y" * 33_000)))],
    [(frames.DATA, 1, b"before the head")],
    [(frames.DATA, 0, b"before the head"), (frames.HEADERS, 5, ((b"x", b"y"),))],
]


@pytest.mark.parametrize("parts", BAD_ANSWERS)
def test_an_answer_that_is_none(parts: Sequence[tuple[int, int, Fields | bytes]]) -> None:
    ours = client()
    peer = Peer(ours)
    exchange, other = ours.ask(request()), ours.ask(request())
    for kind, flags, what in parts:
        payload = what if isinstance(what, bytes) else peer.encoder.encode(what, huffman=True)
        if len(payload) > frames.DEFAULT_FRAME:
            peer.says(kind, flags & ~frames.END_HEADERS, 1, payload[: frames.DEFAULT_FRAME])
            kind, flags, payload = frames.CONTINUATION, frames.END_HEADERS, payload[frames.DEFAULT_FRAME :]
        peer.says(kind, flags, 1, payload)
    assert reason(exchange) is Failure.MALFORMED
    peer.answers(3)
    assert (other.failed, other.body()) == (None, b"answer")


BAD_FRAMES = [
    frames.frame(frames.PUSH_PROMISE, 4, 1, b"\0\0\0\x02"),
    frames.frame(frames.HEADERS, 5, 7, b"\x88"),
    frames.frame(frames.HEADERS, 5, 2, b"\x88"),
    frames.frame(frames.DATA, 0, 2, b"x"),
    frames.frame(frames.DATA, 0, 0, b"x"),
    frames.frame(frames.DATA, 0, 9, b"x"),
    frames.frame(frames.DATA, frames.PADDED, 1, b"\x09x"),
    frames.frame(frames.CONTINUATION, 4, 1, b"\x88"),
    frames.frame(frames.HEADERS, 0, 1, b"\x88") + frames.frame(frames.PING, 0, 0, b"12345678"),
    frames.frame(frames.HEADERS, 5, 1, b"\xff\xff\xff\xff\xff\xff\xff"),
    frames.frame(frames.PING, 0, 0, b"short"),
    frames.frame(frames.PING, 0, 1, b"12345678"),
    frames.frame(frames.SETTINGS, 0, 0, b"odd"),
    frames.settings({Setting.INITIAL_WINDOW_SIZE: 1 << 31}),
    frames.settings({Setting.MAX_FRAME_SIZE: 100}),
    frames.frame(frames.GOAWAY, 0, 0, b"short"),
    frames.frame(frames.RST_STREAM, 0, 1, b"1"),
    frames.frame(frames.RST_STREAM, 0, 11, b"1234"),
    frames.window_update(0, frames.LARGEST_WINDOW),
    frames.window_update(0, 0),
    frames.window_update(1, 1)[:-1] + b"",
    b"\xff\xff\xff\0\0\0\0\0\x01",
]


@pytest.mark.parametrize("data", BAD_FRAMES)
def test_a_peer_that_breaks_a_rule_is_left(data: bytes) -> None:
    ours = client()
    Peer(ours)
    exchange = ours.ask(request())
    sent(ours)
    ours.feed(data)
    if not ours.ended:  # a frame that is cut off
        ours.lose("closed")
    assert reason(exchange) is Failure.LOST
    assert not ours.is_open


def test_pings_are_answered_and_a_flood_of_them_is_not() -> None:
    ours = client()
    peer = Peer(ours)
    peer.says(frames.PING, 0, 0, b"12345678")
    assert peer.heard() == [(frames.PING, frames.ACK, 0, b"12345678")]
    for _ in range(100_000):
        peer.says(frames.PING, 0, 0, b"12345678")
        if ours.ended:
            break
    assert ours.ended
    assert len(sent(ours)) < 1 << 20


def test_a_header_block_in_many_frames() -> None:
    ours, (echo, theirs) = client(), server()
    value = b"v" * 20_000
    exchange = ours.ask(Request((*ASK, (b"x-large", value)), b"", b"lead", b""))
    together(ours, theirs)
    assert exchange.failed is None
    assert (b"x-large", value) in echo.requests[0][0]


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300), split=st.integers(1, 20), knows=st.booleans())
def test_whatever_comes_ends_well(data: bytes, split: int, knows: bool) -> None:
    ours = client()
    if knows:
        Peer(ours)
    exchanges = [ours.ask(request()) for _ in range(2)]
    for piece in itertools.batched(data, split) if hasattr(itertools, "batched") else [data]:
        ours.feed(bytes(piece))
    ours.lose("over")
    assert all(exchange.is_over for exchange in exchanges)
    assert sorted(map(id, ours.over)) == sorted(map(id, exchanges))


_KINDS = st.integers(0, 10)
_FRAMES = st.builds(
    frames.frame,
    _KINDS,
    st.sampled_from([0, 1, 4, 5, 8, 13, 32, 45]),
    st.sampled_from([0, 1, 3, 5, 2]),
    st.sampled_from([b"", b"\x88", b"\x88\xbe", b"\0\0\0\0", b"\0\0\0\x01", b"\x02ab\0\0", b"12345678"])
    | st.binary(max_size=20),
)


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(_FRAMES, max_size=25), step=st.integers(1, 60))
def test_whatever_frames_come_each_exchange_ends_once(parts: list[bytes], step: int) -> None:
    ours = client(answer_bytes=30)
    Peer(ours)
    exchanges = [ours.ask(request()) for _ in range(3)]
    data = b"".join(parts)
    for at in range(0, len(data), step):
        ours.feed(data[at : at + step])
        sent(ours)
    ours.lose("over")
    assert sorted(map(id, ours.over)) == sorted(map(id, exchanges))
