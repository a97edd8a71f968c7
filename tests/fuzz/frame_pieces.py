"""A fuzzer's bytes as what one peer of HTTP/2 sends: raw, or made into frames so that more of them mean something."""

from __future__ import annotations

from penstock.http2 import frames


def pieces(data: bytes) -> list[bytes]:
    """What comes in one read each; the first byte tells whether it is raw, and then where it is cut."""
    if not data or not data[0] & 1:
        cut = 1 + (data[0] >> 1 if data else 0)
        return [data[1:cut], data[cut:]]
    found = []
    at = 1
    while at + 4 <= len(data):
        kind, flags, number, size = data[at : at + 4]
        found.append(frames.frame(kind % 12, flags, number % 16, data[at + 4 : at + 4 + size]))
        at += 4 + size
    return found
