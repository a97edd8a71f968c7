"""Flow control: no byte more than allowed, none lost, and turns between the streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from penstock.http2 import frames
from penstock.http2.frames import Code, Setting
from penstock.http2.limits import Limits
from penstock.http2.sender import Sender

from .conftest import Peer

if TYPE_CHECKING:
    import pytest

    from penstock.http2.streams import Stream

BODIES = st.lists(st.binary(max_size=400), min_size=1, max_size=6)
STEPS = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 500)), max_size=60)


@given(BODIES, STEPS, st.integers(0, 300))
def test_windows_are_kept_and_nothing_is_lost(bodies: list[bytes], steps: list[tuple[int, int]], initial: int) -> None:
    peer = Peer(Limits()).greet({Setting.INITIAL_WINDOW_SIZE: initial})
    allowed = {2 * count + 1: initial for count in range(len(bodies))}
    peer.send(b"".join(peer.ask(2 * count + 1, body) for count, body in enumerate(bodies)))
    for which, increment in steps:
        number = 2 * (which % len(bodies)) + 1
        allowed[number] += increment
        peer.send(frames.window_update(number, increment))
        for one, answer in peer.answers.items():
            assert len(answer.body) <= allowed[one]
    for number in allowed:
        peer.send(frames.window_update(number, 1000))
    assert [peer.answers[2 * count + 1].body for count in range(len(bodies))] == bodies
    assert all(answer.ended for answer in peer.answers.values())
    assert peer.connection.sender.held == 0
    assert not peer.connection.sender.waiting


def test_the_window_of_the_connection_is_kept() -> None:
    peer = Peer(Limits()).greet({Setting.INITIAL_WINDOW_SIZE: 1 << 20})
    peer.send(peer.ask(1, bytes(50_000)) + peer.ask(3, bytes(50_000)))
    assert sum(len(answer.body) for answer in peer.answers.values()) == frames.DEFAULT_WINDOW
    peer.send(frames.window_update(0, 100_000))
    assert all(answer.ended for answer in peer.answers.values())


def test_a_small_answer_does_not_wait_behind_a_large_one() -> None:
    peer = Peer(Limits()).greet({Setting.INITIAL_WINDOW_SIZE: 1 << 24})
    peer.connection.feed(frames.window_update(0, 1 << 24))
    sender = peer.connection.sender
    sender.out, sender.room = [], 1 << 18
    large = b"".join(frames.frame(frames.DATA, 0, 1, bytes(1 << 16)) for _ in range(32))
    peer.connection.feed(peer.ask(1, b"x", ends=False) + large + frames.frame(frames.DATA, 1, 1, b"x"))
    assert sender.held > 1 << 20
    peer.connection.feed(peer.ask(3, b"small"))
    peer.read()
    numbers = list(peer.answers)
    assert numbers == [1, 3]
    assert peer.answers[3].ended


def test_turns_are_fair() -> None:
    """Of two large answers each has its half at any time."""
    peer = Peer(Limits(turn=1 << 15)).greet({Setting.INITIAL_WINDOW_SIZE: 1 << 24})
    peer.echo.at_once = False
    peer.send(peer.ask(1, bytes(200_000)) + peer.ask(3, bytes(200_000)) + frames.window_update(0, 1 << 24))
    peer.echo.answer()
    sender = peer.connection.sender
    for _ in range(5):
        peer._came += b"".join(sender.out)
        sender.out, sender.room = [], 1 << 15
        peer.connection.pump()
        peer._frames()
        sizes = [len(peer.answers[number].body) for number in (1, 3)]
        assert abs(sizes[0] - sizes[1]) <= 1 << 15, sizes


def test_an_answer_that_is_not_wanted_any_more_frees_what_it_held() -> None:
    peer = Peer(Limits()).greet({Setting.INITIAL_WINDOW_SIZE: 10})
    peer.send(peer.ask(1, bytes(1000)))
    assert peer.connection.sender.held == 990
    peer.send(frames.rst_stream(1, Code.CANCEL))
    assert peer.connection.sender.held == 0
    assert not peer.connection.sender.waiting


def test_a_smaller_window_in_the_middle() -> None:
    """RFC 9113, 6.9.2: a window can become negative."""
    peer = Peer(Limits()).greet({Setting.INITIAL_WINDOW_SIZE: 100})
    peer.send(peer.ask(1, bytes(300)))
    peer.send(frames.settings({Setting.INITIAL_WINDOW_SIZE: 10}))
    peer.send(frames.window_update(1, 90))
    assert len(peer.answers[1].body) == 100
    peer.send(frames.window_update(1, 5))
    assert len(peer.answers[1].body) == 105
    peer.send(frames.settings({Setting.INITIAL_WINDOW_SIZE: 1000}))
    assert peer.answers[1].ended


def test_large_frames_where_the_peer_takes_them() -> None:
    peer = Peer(Limits()).greet({Setting.INITIAL_WINDOW_SIZE: 1 << 20, Setting.MAX_FRAME_SIZE: 1 << 20})
    peer.send(frames.window_update(0, 1 << 20) + peer.ask(1, bytes(100_000)))
    assert (len(peer.answers[1].body), peer.answers[1].ended) == (100_000, True)


def test_a_window_moves_no_other_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred answers that wait, one is looked at when its window opens; all, when all windows do."""
    peer = Peer(Limits()).greet({Setting.INITIAL_WINDOW_SIZE: 0})
    peer.send(b"".join(peer.ask(number, b"x" * 10) for number in range(1, 201, 2)))
    turn, looked = Sender._turn, list[int]()

    def counted(sender: Sender, stream: Stream) -> bool:
        looked.append(stream.number)
        return turn(sender, stream)

    monkeypatch.setattr(Sender, "_turn", counted)
    peer.send(frames.window_update(7, 5))
    assert looked == [7]
    peer.send(frames.window_update(0, 5) * 10)
    assert looked == [7]
    peer.send(frames.settings({Setting.INITIAL_WINDOW_SIZE: 5}))
    assert sorted(looked) == sorted([*range(1, 201, 2), 7])
    assert {number: len(answer.body) for number, answer in peer.answers.items()} == {
        number: 10 if number == 7 else 5 for number in range(1, 201, 2)
    }


def test_whoever_was_abandoned_holds_nothing() -> None:
    peer = Peer(Limits()).greet({Setting.INITIAL_WINDOW_SIZE: 0})
    peer.send(peer.ask(1, b"x" * 10) + peer.ask(3, b"y" * 10, ends=False))
    peer.connection.abandon()
    sender = peer.connection.sender
    assert (sender.held, sender.waiting, sender.movable) == (0, {}, {})
    assert peer.connection._budget.left == Limits().bodies
    assert sorted(peer.echo.lost) == [1, 3]
