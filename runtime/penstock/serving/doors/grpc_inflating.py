"""Messages that the caller has compressed."""

from __future__ import annotations

import asyncio
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from .grpc_status import Refused

# zlib's window sizes: with a gzip header, with a zlib header.
_WINDOWS: Final = {b"gzip": 31, b"deflate": 15}
# What is inflated at once; 50 KB can become 50 MB, and nobody else would be served meanwhile.
_AT_ONCE: Final = 1 << 17


class Inflating:
    """One at a time for all connections, beside the event loop where it takes long.

    Args:
        most: bytes that a message may have.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._thread: ThreadPoolExecutor | None = None

    async def inflated(self, message: bytes, encoding: bytes) -> bytes:
        """The message as it was before it was compressed.

        Raises:
            Refused: it was not; or it gets larger than allowed, which is known before it does.
        """
        if encoding not in _WINDOWS:
            raise Refused("INTERNAL", "Compression bit set but no encoding configured")
        if not message:
            return message  # no zlib data, but grpc's own server takes it
        if not message:
            return message  # as grpc's own server does
        inflater = zlib.decompressobj(_WINDOWS[encoding])
        start = _inflate(inflater, message, min(_AT_ONCE, self._most + 1))
        if inflater.eof or len(start) > self._most:
            return self._checked(start, inflater)
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "inflating")
        left = self._most + 1 - len(start)
        rest = await asyncio.get_running_loop().run_in_executor(
            self._thread, _inflate, inflater, inflater.unconsumed_tail, left
        )
        return self._checked(start + rest, inflater)

    def _checked(self, message: bytes, inflater: zlib._Decompress) -> bytes:
        if len(message) > self._most:
            raise Refused("RESOURCE_EXHAUSTED", "Decompressed message larger than max")
        if not inflater.eof:
            raise Refused("INTERNAL", "Decompression failed due to zlib error")
        return message


def _inflate(inflater: zlib._Decompress, message: bytes, most: int) -> bytes:
    try:
        return inflater.decompress(message, most)
    except zlib.error:
        raise Refused("INTERNAL", "Decompression failed due to zlib error") from None
