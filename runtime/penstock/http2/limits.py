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
        body: the body of one request; more is answered by `too_large`.
        bodies: unfinished bodies of all requests together; where it is full, new ones are refused.
        window: what the peer may send ahead on one stream.
        frame: payload of a DATA frame, told to the peer.
        nuisance: control frames that may come at once (pings, settings, resets, empty frames).
        nuisance_rate: of these a second, for ever.
    """

    streams: int = 1024
    list: int = 16_384
    block: int = 16_384
    body: int = 64 << 20
    bodies: int = 256 << 20
    window: int = 1 << 20
    frame: int = 1 << 18
    nuisance: int = 2_000
    nuisance_rate: int = 1_000
