"""How much one connection may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one connection; bytes unless another unit is said.

    Attributes:
        streams: requests at the same time, told to the peer.
        list: fields of a request, counted as HPACK does; told to the peer.
        block: a header block as it comes, with its CONTINUATION frames.
        body: the body of one request; more is refused.
        bodies: unfinished bodies of all requests together; where it is full, new ones are refused.
        unfinished: bodies of more than one frame that are begun and not ended. Each that is ended makes up for another
            one, so that a peer that ends half of them never gets there; whoever does is read in turns.
        window: what the peer may send ahead on one stream; more of a body whose size is known.
        frame: payload of a DATA frame, told to the peer.
        nuisance: control frames that may come at once (pings, settings, resets, empty frames).
        nuisance_rate: of these a second, for ever.
        toll: what frames that bring nobody further may cost at once, as `FrameReader.toll` counts; whoever sends more
            than this and ``toll_rate`` a second is served behind the others.
        held: answers that wait for the peer's windows; where it is full, others are refused.
        turn: of bodies that go out before the transport has taken them.
        opening: seconds until the first frames have come, or the rest of a frame or header block.
        request: seconds until a request is complete, and one more for each ``slowest`` bytes that came of it.
        slowest: bytes a second.
        stall: seconds that an answer may wait without any of it being taken.
        idle: seconds that a connection may stay without a request.
    """

    streams: int = 1024
    list: int = 32_768
    block: int = 32_768
    body: int = 64 << 20
    bodies: int = 128 << 20
    unfinished: int = 100
    window: int = 1 << 20
    frame: int = 1 << 18
    nuisance: int = 2_000
    nuisance_rate: int = 1_000
    toll: int = 2_000
    toll_rate: int = 20_000
    held: int = 256 << 20
    turn: int = 1 << 18
    opening: float = 10.0
    request: float = 30.0
    slowest: int = 10_000
    stall: float = 60.0
    idle: float = 1800.0
