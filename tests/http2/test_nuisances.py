"""What a peer can do to keep us busy, to make us hold a lot, or to make us wait: each has an end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.http2 import frames
from penstock.http2.frames import Code, Setting
from penstock.http2.limits import Limits

from .conftest import Peer

if TYPE_CHECKING:
    from collections.abc import Callable

PING = frames.frame(frames.PING, 0, 0, bytes(8))


@pytest.mark.parametrize(
    "frame",
    [
        PING,
        frames.frame(frames.PING, frames.ACK, 0, bytes(8)),
        frames.settings({Setting.ENABLE_PUSH: 0}),
        frames.SETTINGS_ACK,
        frames.frame(frames.PRIORITY, 0, 1, bytes(5)),
        frames.frame(frames.DATA, 0, 1, b""),
        frames.frame(frames.DATA, frames.PADDED, 1, b"\3" + bytes(3)),
        frames.frame(frames.GOAWAY, 0, 0, bytes(8)),
        frames.frame(99, 0, 0, b""),
    ],
    ids=["ping", "pong", "settings", "ack", "priority", "empty", "padding", "goaway", "unknown"],
)
def test_frames_that_bring_nobody_further(connect: Callable[..., Peer], frame: bytes) -> None:
    peer = connect(nuisance=100, nuisance_rate=10).greet()
    peer.send(peer.ask(1, b"x", ends=False) + frame * 90)
    assert peer.goaway is None
    peer.send(frame * 20)
    assert peer.goaway == Code.ENHANCE_YOUR_CALM
    assert peer.connection.ended


def test_a_turn_has_fewer_of_what_costs_more(connect: Callable[..., Peer]) -> None:
    """How many of a thousand are done in the first turn."""
    counts = {}
    update, silly = frames.window_update(0, 1024), frames.window_update(0, 1)
    for name, frame in {
        "update": update,
        "silly": silly,
        "ping": PING,
        "settings": frames.settings({}),
        "bad": b"",
    }.items():
        peer = connect().greet()
        came = frame * 1000
        if name == "bad":  # a header block against the rules, each on a stream of its own
            came = b"".join(frames.frame(frames.HEADERS, 5, number, b"\x83") for number in range(1, 2001, 2))
        peer.connection.feed(came)
        assert peer.connection.more
        counts[name] = (peer.connection._at * 1000) // len(came)
    assert counts == {"update": 103, "silly": 43, "ping": 64, "settings": 64, "bad": 32}


def test_a_turn_has_a_hundred_requests(peer: Peer) -> None:
    peer.connection.feed(b"".join(peer.ask(number, b"x" * 100) for number in range(1, 401, 2)))
    assert len(peer.echo.requests) > 100
    assert not peer.connection.toll


def test_whoever_sends_a_lot_that_brings_nobody_further_is_trying(connect: Callable[..., Peer]) -> None:
    peer = connect(toll=400, toll_rate=100).greet()
    assert not peer.connection.is_trying
    peer.send(PING * 80)
    assert not peer.connection.is_trying
    peer.send(PING * 40)
    assert peer.connection.is_trying
    peer.now += 3
    peer.send(peer.ask(1, b"x"))
    assert not peer.connection.is_trying


def test_whoever_is_trying_has_shorter_turns(connect: Callable[..., Peer]) -> None:
    peer = connect(toll=100, toll_rate=0).greet()
    counts = []
    for _ in range(2):
        peer.connection.feed(PING * 100)
        assert peer.connection.more
        counts.append(peer.connection._at // len(PING))
        peer.send(b"")
    assert counts == [64, 16]


@pytest.mark.parametrize("frames_in_a_read", [1, 3])
def test_whoever_begins_bodies_and_does_not_end_them_hoards(
    connect: Callable[..., Peer], frames_in_a_read: int
) -> None:
    peer = connect(unfinished=10).greet()
    for number in range(1, 101, 2):  # whole ones do not count
        peer.send(peer.ask(number, b"x" * 5000))
    more = frames.frame(frames.DATA, 0, 0, bytes(5000))
    for number in range(101, 123, 2):
        assert not peer.connection.hoards
        body = (more[:5] + number.to_bytes(4) + more[9:]) * 3
        peer.send(peer.ask(number, b"", ends=False))
        for at in range(0, len(body), frames_in_a_read * len(more)):
            peer.send(body[at : at + frames_in_a_read * len(more)])
    assert peer.connection.hoards
    peer.send(frames.frame(frames.DATA, frames.END_STREAM, 101, b"x"))
    assert not peer.connection.hoards


def test_bodies_side_by_side_that_are_ended_are_no_hoard(connect: Callable[..., Peer]) -> None:
    peer = connect(unfinished=10).greet()
    for first in range(1, 400, 20):
        for number in range(first, first + 20, 2):
            peer.send(peer.ask(number, b"x" * 100, ends=False))
        for number in range(first, first + 20, 2):
            peer.send(frames.frame(frames.DATA, frames.END_STREAM, number, b"x"))
        assert not peer.connection.hoards
    assert len(peer.echo.requests) == 200


def test_time_makes_up_for_them(connect: Callable[..., Peer]) -> None:
    peer = connect(nuisance=100, nuisance_rate=10).greet()
    for _ in range(20):
        peer.send(PING * 90)
        peer.now += 9.5
    assert peer.goaway is None


def test_rapid_reset(connect: Callable[..., Peer]) -> None:
    peer = connect(nuisance=100, nuisance_rate=10).greet()
    peer.echo.at_once = False
    for number in range(1, 401, 2):
        peer.send(peer.ask(number) + frames.rst_stream(number, Code.CANCEL))
    assert peer.goaway == Code.ENHANCE_YOUR_CALM
    assert len(peer.echo.requests) < 110


def test_resets_that_it_makes_us_send(connect: Callable[..., Peer]) -> None:
    peer = connect(nuisance=100, nuisance_rate=10).greet()
    for number in range(1, 401, 2):
        peer.send(peer.ask(number, b"", ends=False) + frames.window_update(number, 0))
    assert peer.goaway == Code.ENHANCE_YOUR_CALM


def test_a_header_block_without_end(peer: Peer) -> None:
    peer.send(frames.frame(frames.HEADERS, 0, 1, peer.block()))
    for _ in range(100):
        peer.send(frames.frame(frames.CONTINUATION, 0, 1, b"\0\1a\x7f\x81\x07" + bytes(1024)))
    assert peer.goaway == Code.ENHANCE_YOUR_CALM


def test_empty_continuations(connect: Callable[..., Peer]) -> None:
    peer = connect(nuisance=100).greet()
    peer.send(frames.frame(frames.HEADERS, 0, 1, peer.block()))
    peer.send(frames.frame(frames.CONTINUATION, 0, 1, b"") * 200)
    assert peer.goaway == Code.ENHANCE_YOUR_CALM


BOMB = b"\x40\x01x\x7f\xa1\x1e" + b"v" * 4000  # a field of 4 KB, whose name is one byte from now on


def test_fields_that_are_too_large_are_refused_and_the_table_stays_right(peer: Peer) -> None:
    peer.send(frames.frame(frames.HEADERS, 5, 1, BOMB + b"\xbe" * 20))
    assert (peer.echo.refused, peer.answers[1].fields[":status"], peer.goaway) == ([1], "413", None)
    peer.send(frames.frame(frames.HEADERS, 5, 3, b"\x82\x86\x84\xbe"))
    assert peer.echo.requests[0][0][-1] == (b"x", b"v" * 4000)


def test_a_header_bomb_ends_the_connection(peer: Peer) -> None:
    peer.send(frames.frame(frames.HEADERS, 5, 1, BOMB + b"\xbe" * 2000))
    assert (peer.goaway, peer.echo.requests) == (Code.ENHANCE_YOUR_CALM, [])


def test_a_frame_that_is_not_data_is_small(peer: Peer) -> None:
    peer.send(frames.HEAD.pack(0x0200, 0, 99, 0, 0) + bytes(1000))
    assert peer.goaway == Code.FRAME_SIZE_ERROR


def test_whoever_does_not_begin_is_hung_up_on(connect: Callable[..., Peer]) -> None:
    for start in (b"", frames.PREFACE[:10], frames.PREFACE, frames.PREFACE + frames.settings({})[:5]):
        peer = connect(opening=10)
        peer.send(start)
        for _ in range(13):
            peer.now += 1
            peer.connection.tick(peer.now)
        peer.read()
        assert peer.connection.ended, start


@pytest.mark.parametrize("drip", [True, False])
def test_a_frame_that_does_not_come_to_its_end(connect: Callable[..., Peer], drip: bool) -> None:
    peer = connect(opening=10).greet()
    frame = frames.frame(frames.HEADERS, 5, 1, peer.block((b"x", b"y" * 200)))
    peer.send(frame[:3])
    for at in range(3, 20):
        peer.now += 1
        peer.connection.tick(peer.now)
        if drip:
            peer.send(frame[at : at + 1])
    assert peer.connection.ended


def test_a_header_block_that_drips(connect: Callable[..., Peer]) -> None:
    peer = connect(opening=10).greet()
    block = peer.block((b"x", b"y" * 200))
    peer.send(frames.frame(frames.HEADERS, 0, 1, block[:1]))
    for at in range(1, 20):
        peer.now += 1
        peer.connection.tick(peer.now)
        peer.send(frames.frame(frames.CONTINUATION, 0, 1, block[at : at + 1]))
    assert peer.connection.ended


def test_busy_connections_are_never_taken_for_slow(connect: Callable[..., Peer]) -> None:
    peer = connect(opening=10, idle=30).greet()
    rest = b""
    for number in range(1, 201, 2):
        frame = rest + peer.ask(number, b"x" * 50)
        peer.send(frame[:-20])
        rest = frame[-20:]
        peer.now += 1
        peer.connection.tick(peer.now)
    assert peer.goaway is None
    assert len(peer.echo.requests) == 99


def test_a_body_that_drips_is_given_up_and_one_that_comes_is_not(connect: Callable[..., Peer]) -> None:
    peer = connect(request=30, slowest=1000).greet()
    peer.send(peer.ask(1, b"x", ends=False) + peer.ask(3, b"x", ends=False))
    for _ in range(60):
        peer.now += 1
        peer.connection.tick(peer.now)
        peer.read()
        peer.send(frames.frame(frames.DATA, 0, 3, bytes(1500)))
        if peer.answers.get(1) is None:
            peer.send(frames.frame(frames.DATA, 0, 1, b"x"))
    assert peer.answers[1].reset == Code.CANCEL
    assert peer.echo.lost == [1]
    assert 3 in peer.connection.streams


def test_an_answer_that_is_not_taken_is_given_up(connect: Callable[..., Peer]) -> None:
    peer = connect(stall=60).greet({Setting.INITIAL_WINDOW_SIZE: 0})
    peer.send(peer.ask(1, b"never") + peer.ask(3, b"slow" * 100))
    for _ in range(70):
        peer.now += 1
        peer.connection.tick(peer.now)
        peer.send(frames.window_update(3, 1))
    assert peer.answers[1].reset == Code.CANCEL
    assert peer.answers[3].reset is None
    assert len(peer.answers[3].body) == 70
    assert peer.connection.sender.held == 330


def test_a_connection_that_asks_nothing_is_closed(connect: Callable[..., Peer]) -> None:
    peer = connect(idle=100).greet()
    for _ in range(99):
        peer.now += 1
        peer.connection.tick(peer.now)
    assert not peer.connection.ended
    for _ in range(5):
        peer.now += 1
        peer.connection.tick(peer.now)
    peer.read()
    assert (peer.connection.ended, peer.goaway) == (True, Code.NO_ERROR)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 255), st.integers(0, 9), st.binary(max_size=40))))
def test_any_frames_end_well(sent: list[tuple[int, int, int, bytes]]) -> None:
    """Whatever comes: no exception, and nothing is left of what was counted."""
    peer = Peer(Limits())
    peer.greet()
    for kind, flags, number, payload in sent:
        peer.send(frames.frame(kind, flags, number, payload))
    peer.connection.tick(peer.now + 1)
    peer.connection.abandon()
    assert peer.connection._budget.left == Limits().bodies
    assert peer.connection.sender.held == 0
