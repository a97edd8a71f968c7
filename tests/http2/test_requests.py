"""Frames in, requests out: however they are cut, padded and continued."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.http2 import frames
from penstock.http2.frames import Code
from penstock.http2.limits import Limits

from .conftest import ASK, Peer

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_request_and_its_answer(peer: Peer) -> None:
    peer.send(peer.ask(1, b"hello"))
    assert peer.echo.requests == [(ASK, b"hello")]
    assert peer.answers[1].fields == {":status": "200", "content-type": "x/y"}
    assert (peer.answers[1].body, peer.answers[1].ended) == (b"hello", True)
    assert not peer.connection.streams


def padded(data: bytes, size: int) -> bytes:
    return bytes([size]) + data + bytes(size)


@st.composite
def requests(draw: st.DrawFn) -> list[tuple[bytes, list[tuple[bytes, int]], int]]:
    """For each: a body, how its frames are cut and padded (-1 is not), and how its header block is cut."""
    made = []
    for _ in range(draw(st.integers(1, 6))):
        pieces = draw(st.lists(st.tuples(st.binary(max_size=300), st.integers(-1, 255)), max_size=5))
        made.append((b"".join(piece for piece, _ in pieces), pieces, draw(st.integers(0, 30))))
    return made


@given(requests(), st.lists(st.integers(1, 400), max_size=60))
def test_how_bytes_are_cut_makes_no_difference(
    asked: list[tuple[bytes, list[tuple[bytes, int]], int]], cuts: list[int]
) -> None:
    peer = Peer(Limits())
    script = frames.PREFACE + frames.settings({})
    for count, (_, pieces, cut) in enumerate(asked):
        number = 2 * count + 1
        block = peer.block((b"x-number", b"%d" % number))
        script += frames.frame(frames.HEADERS, 0, number, block[:cut])
        script += frames.frame(frames.CONTINUATION, frames.END_HEADERS, number, block[cut:])
        for piece, pad in pieces:
            payload = piece if pad < 0 else padded(piece, pad)
            script += frames.frame(frames.DATA, frames.PADDED if pad >= 0 else 0, number, payload)
        script += frames.frame(frames.DATA, frames.END_STREAM, number, b"")
    peer.send_cut(script, cuts)
    assert peer.goaway is None
    assert [body for _, body in peer.echo.requests] == [body for body, _, _ in asked]
    assert [peer.answers[2 * count + 1].body for count in range(len(asked))] == [body for body, _, _ in asked]
    assert peer.connection._budget.left == Limits().bodies
    assert not peer.connection.streams


def test_many_frames_of_one_read_leave_others_their_turn(peer: Peer) -> None:
    peer.connection.feed(b"".join(peer.ask(number) for number in range(1, 2001, 2)))
    assert peer.connection.more
    before = len(peer.echo.requests)
    assert 0 < before < 1000
    peer.connection.feed(b"")
    assert len(peer.echo.requests) > before
    peer.send(b"")
    assert len(peer.echo.requests) == 1000


def test_a_body_in_tiny_frames_takes_hardly_more_than_its_size(peer: Peer) -> None:
    peer.send(peer.ask(1, b"", ends=False))
    for _ in range(20):
        peer.send(frames.frame(frames.DATA, 0, 1, b"x") * 500)
    stream = peer.connection.streams[1]
    assert stream.size == 10_000
    assert len(stream.chunks) < 10


def test_a_large_body_is_read_in_pieces(connect: Callable[..., Peer]) -> None:
    peer = connect(window=1 << 16).greet()
    body = bytes(range(256)) * 4096
    peer.send(peer.ask(1, b"", ends=False))
    for at in range(0, len(body), 1 << 14):
        piece = body[at : at + (1 << 14)]
        frame = frames.frame(frames.DATA, frames.END_STREAM if at + len(piece) == len(body) else 0, 1, piece)
        peer.send(frame[:5000]).send(frame[5000:])
    assert peer.goaway is None
    assert peer.echo.requests[0][1] == body
    assert sum(kind == frames.WINDOW_UPDATE and number == 1 for kind, number, _ in peer.other) > 10


def test_a_body_that_is_too_large_is_refused_and_the_rest_passed_over(connect: Callable[..., Peer]) -> None:
    peer = connect(body=1000).greet()
    peer.send(peer.ask(1, bytes(900), ends=False) + frames.frame(frames.DATA, 0, 1, bytes(200)))
    assert (peer.echo.refused, peer.answers[1].fields[":status"]) == ([1], "413")
    assert peer.answers[1].reset == Code.NO_ERROR
    peer.send(frames.frame(frames.DATA, frames.END_STREAM, 1, bytes(5000)) + peer.ask(3, b"next"))
    assert (peer.goaway, peer.answers[3].body) == (None, b"next")
    assert peer.connection._budget.left == Limits().bodies


def test_a_body_that_says_that_it_is_too_large_is_not_waited_for(connect: Callable[..., Peer]) -> None:
    peer = connect(body=1000).greet()
    peer.send(peer.ask(1, b"", (b"content-length", b"1001"), ends=False))
    assert peer.answers[1].fields[":status"] == "413"


def test_bodies_that_are_not_complete_are_bounded_together(connect: Callable[..., Peer]) -> None:
    peer = connect(bodies=10_000).greet()
    for number in range(1, 21, 2):
        peer.send(peer.ask(number, bytes(1500), ends=False))
    assert peer.answers[13].reset == Code.REFUSED_STREAM
    peer.send(frames.frame(frames.DATA, frames.END_STREAM, 1, b""))
    assert peer.answers[1].body == bytes(1500)
    peer.connection.abandon()
    assert peer.connection._budget.left == 10_000


@pytest.mark.parametrize(("length", "fine"), [(b"5", True), (b"4", False), (b"x", False), (b"-5", False)])
def test_the_length_must_be_right(peer: Peer, length: bytes, fine: bool) -> None:
    peer.send(peer.ask(1, b"hello", (b"content-length", length)))
    assert (peer.answers[1].reset is None) is fine


def test_more_requests_at_once_than_allowed_are_refused(connect: Callable[..., Peer]) -> None:
    peer = connect(streams=2).greet()
    peer.send(b"".join(peer.ask(number, b"x", ends=False) for number in (1, 3, 5)))
    assert peer.answers[5].reset == Code.REFUSED_STREAM
    peer.send(frames.frame(frames.DATA, frames.END_STREAM, 1, b"") + peer.ask(7, b"y"))
    assert peer.answers[7].body == b"y"


def test_a_request_that_is_given_up_is_told(peer: Peer) -> None:
    peer.echo.at_once = False
    peer.send(peer.ask(1, b"x") + peer.ask(3, b"y") + frames.rst_stream(1, Code.CANCEL))
    assert peer.echo.lost == [1]
    peer.echo.answer()
    peer.read()
    assert (1 in peer.answers, peer.answers[3].body) == (False, b"y")


def test_messages_that_follow_one_another(peer: Peer) -> None:
    peer.send(peer.ask(1, b"one", (b"x-follows", b"1"), ends=False))
    assert (peer.answers[1].body, peer.answers[1].ended) == (b"one", False)
    peer.send(frames.frame(frames.DATA, 0, 1, b"two"))
    assert peer.answers[1].body == b"onetwo"
    peer.send(frames.frame(frames.DATA, frames.END_STREAM, 1, b""))
    assert peer.answers[1].ended
    assert peer.connection._budget.left == Limits().bodies


def test_after_goaway_what_came_is_answered_and_nothing_new(peer: Peer) -> None:
    peer.echo.at_once = False
    peer.send(peer.ask(1, b"x"))
    peer.connection.go_away()
    peer.send(peer.ask(3, b"y"))
    assert peer.goaway == Code.NO_ERROR
    assert peer.other[-1][2][:4] == (1).to_bytes(4)
    peer.echo.answer()
    peer.read()
    assert (peer.answers[1].body, 3 in peer.answers, peer.connection.streams) == (b"x", False, {})


def test_a_connection_that_is_lost_leaves_nothing_to_the_garbage_collector(connect: Callable[..., Peer]) -> None:
    peer = connect().greet()
    peer.send(peer.ask(1, b"x"))
    peer.send(peer.ask(3, b"not all", ends=False))
    connection = weakref.ref(peer.connection)
    gc.disable()
    try:
        peer.connection.lost()
        vars(peer).clear()  # the connection's clock is the peer's
        assert connection() is None
    finally:
        gc.enable()
