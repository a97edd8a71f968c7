"""Bodies of many large frames: taken many at a time, and put together in one piece where their size is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from penstock.http2 import frames
from penstock.http2.frames import Code
from penstock.http2.limits import Limits

from .conftest import Peer

if TYPE_CHECKING:
    from collections.abc import Callable

_MB = 1 << 20
_PATTERN = bytes(range(251)) * 20_000


def in_frames(number: int, body: bytes, size: int, *, ends: bool = True) -> list[bytes]:
    made = [frames.frame(frames.DATA, 0, number, body[at : at + size]) for at in range(0, len(body), size)]
    return [*made, frames.frame(frames.DATA, frames.END_STREAM, number, b"")] if ends else made


def length(size: int) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % size


def updates(peer: Peer, number: int) -> int:
    return sum(kind == frames.WINDOW_UPDATE and stream == number for kind, stream, _ in peer.other)


@st.composite
def messages(draw: st.DrawFn) -> list[tuple[bytes, list[bytes], bool]]:
    """Bodies, their frames and whether their size is told."""
    made = []
    for count in range(draw(st.integers(1, 3))):
        body = _PATTERN[count : count + draw(st.integers(0, 700_000))]
        size = draw(st.sampled_from([4096, 5000, 16_384, 100_000]))
        made.append((body, in_frames(2 * count + 1, body, size), draw(st.booleans())))
    return made


@given(messages(), st.integers(0, 50), st.lists(st.integers(1, 300_000), max_size=20))
def test_how_large_bodies_are_cut_makes_no_difference(
    sent: list[tuple[bytes, list[bytes], bool]], turn: int, cuts: list[int]
) -> None:
    peer = Peer(Limits()).greet()
    script = b""
    for count, (body, _, is_told) in enumerate(sent):
        script += peer.ask(2 * count + 1, b"", *([length(len(body))] if is_told else []), ends=False)
    left = [pieces for _, pieces, _ in sent]
    while any(left):  # the streams take turns
        script += b"".join(piece for pieces in left for piece in pieces[: turn + 1])
        left = [pieces[turn + 1 :] for pieces in left]
    peer.send_cut(script, cuts)
    assert peer.goaway is None
    assert sorted(body for _, body in peer.echo.requests) == sorted(body for body, _, _ in sent)
    assert peer.connection._budget.left == Limits().bodies
    assert not peer.connection._bodies


def test_whoever_tells_the_size_of_a_body_gets_its_window_at_once(peer: Peer) -> None:
    body = _PATTERN[: 4 * _MB]
    for number, more in ((1, [length(len(body))]), (3, [])):
        peer.send(peer.ask(number, b"", *more, ends=False))
        for frame in in_frames(number, body, 1 << 14):
            peer.send(frame)
        assert peer.echo.requests[-1][1] == body
    assert (updates(peer, 1), updates(peer, 3)) == (1, 8)


def test_the_window_of_a_body_is_for_the_rest_of_it_and_one_more(connect: Callable[..., Peer]) -> None:
    peer = connect(body=2 * _MB).greet()
    peer.send(peer.ask(1, b"", length(2 * _MB), ends=False))
    peer.send(b"".join(in_frames(1, _PATTERN[: _MB // 2], 1 << 14, ends=False)))
    assert peer.connection.streams[1].room == 3 * _MB // 2 + _MB


def test_a_body_that_is_only_announced_takes_no_memory(peer: Peer) -> None:
    peer.send(peer.ask(1, b"", length(60 * _MB), ends=False))
    for frame in in_frames(1, _PATTERN[: 3 * _MB], 1 << 14, ends=False):
        peer.send(frame)
    stream = peer.connection.streams[1]
    assert stream.size == stream.held == 3 * _MB
    peer.send(b"".join(in_frames(1, _PATTERN[:_MB], 1 << 14, ends=False)) * 12)
    assert (stream.size, stream.held) == (15 * _MB, 60 * _MB)
    assert peer.connection._budget.left == Limits().bodies - 60 * _MB
    peer.send(frames.rst_stream(1, Code.CANCEL))
    assert peer.connection._budget.left == Limits().bodies


def test_memory_that_is_not_there_is_not_taken_ahead(connect: Callable[..., Peer]) -> None:
    peer = connect(bodies=600_000).greet()
    peer.send(peer.ask(1, b"", length(590_000), ends=False))
    peer.send(peer.ask(3, b"", length(590_000), ends=False))
    for number in (1, 3):
        peer.send(b"".join(in_frames(number, _PATTERN[:300_000], 10_000, ends=False)))
    assert peer.connection.streams[1].held == 590_000
    assert peer.answers[3].reset == Code.REFUSED_STREAM
    peer.send(b"".join(in_frames(1, _PATTERN[300_000:590_000], 10_000)))
    assert peer.echo.requests[0][1] == _PATTERN[:590_000]


def test_a_body_that_is_not_as_long_as_it_said(peer: Peer) -> None:
    for number, size in ((1, 400_000), (3, 600_000)):
        peer.send(peer.ask(number, b"", length(500_000), ends=False))
        peer.send(b"".join(in_frames(number, _PATTERN[:size], 10_000)))
        assert peer.answers[number].reset == Code.PROTOCOL_ERROR
    assert not peer.echo.requests
    assert peer.connection._budget.left == Limits().bodies


def test_a_small_part_of_what_was_read_does_not_keep_the_rest(peer: Peer) -> None:
    peer.send(peer.ask(1, b"", ends=False) + peer.ask(3, b"", ends=False))
    for _ in range(3):
        peer.send(
            b"".join(in_frames(1, bytes(4096), 4096, ends=False) + in_frames(3, bytes(200_000), 10_000, ends=False))
        )
    assert [type(chunk) for chunk in peer.connection.streams[1].chunks] == [bytes] * 3
    assert {type(chunk) for chunk in peer.connection.streams[3].chunks} == {memoryview}
