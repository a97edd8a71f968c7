"""A body in chunks, RFC 9112, 7.1, out of pieces that are cut anywhere."""

from __future__ import annotations

import re
from typing import Final

from .http1_heads import refusal

# The size, and extensions, which mean nothing to us; there is no other sign of a chunk's beginning.
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_LONGEST_LINE: Final = 1024
_MOST_TRAILERS: Final = 16 * 1024
# A chunk costs as much as it has bytes, and this many more: whoever sends many tiny ones gets no further with it.
_FREE_CHUNKS: Final = 10_000
_LEAST_ON_AVERAGE: Final = 16


class Chunks:
    """Takes a body's chunks apart.

    Attributes:
        body: what has come of it.
        is_over: whether all of it has come, with the trailers, which are thrown away.
    """

    def __init__(self) -> None:
        self.body = bytearray()
        self.is_over = False
        self._left = 0  # of the chunk
        self._count = 0
        self._in_trailers = False
        self._in_ending = False  # behind a chunk's bytes, before the line's end
        self._line = b""
        self._trailers = 0

    def feed(self, data: bytes, at: int, steps: int) -> int:
        """Take ``data`` from ``at``, at most ``steps`` chunks of it.

        Returns:
            Where it stopped: behind the body where `is_over`.

        Raises:
            RequestError: these are no chunks, or too many for what is in them.
        """
        while at < len(data) and not self.is_over and steps:
            if self._left:
                stop = min(len(data), at + self._left)
                self.body += memoryview(data)[at:stop]
                self._left -= stop - at
                self._in_ending = not self._left
                at = stop
            else:
                at = self._read_line(data, at)
                steps -= 1
        return at

    def _read_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at, at + _LONGEST_LINE)
        piece = data[at:] if end < 0 else data[at : end + 1]
        self._line += piece
        if len(self._line) > _LONGEST_LINE:
            raise refusal("a line between the chunks of the body does not end")
        if end >= 0:
            line, self._line = self._line, b""
            if line[-2:] != b"\r\n":
                raise refusal("a line between the chunks of the body does not end in CR LF")
            self._take_line(line[:-2])
        return at + len(piece)

    def _take_line(self, line: bytes) -> None:
        if self._in_ending:
            if line:
                raise refusal("a chunk has more bytes than it says")
            self._in_ending = False
        elif self._in_trailers:
            self._trailers += len(line) + 2
            if self._trailers > _MOST_TRAILERS:
                raise refusal("the trailers are too long", status=431, code="HEADERS_TOO_LARGE")
            self.is_over = not line
        else:
            self._begin(line)

    def _begin(self, line: bytes) -> None:
        size = _SIZE.fullmatch(line)
        if size is None:
            raise refusal("a chunk does not begin with its size")
        self._left = int(size[1], 16)
        self._in_trailers = not self._left
        self._count += 1
        if self._count > _FREE_CHUNKS + len(self.body) // _LEAST_ON_AVERAGE:
            raise refusal("the body has too many chunks for its size")
