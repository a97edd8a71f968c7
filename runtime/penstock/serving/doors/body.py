"""The body of an HTTP request, read from the server within the limit, and read on where nobody wants it."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from penstock.proto import PayloadError, RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from penstock.proto import Limits

# How long a body that nobody wants is read on, seconds.
_LINGER = 10.0
# zlib's window sizes: with a gzip header, with a zlib header.
_ENCODINGS = {b"gzip": 31, b"deflate": 15}


class Body:
    """A request's body, never more of it in memory than the limit.

    Attributes:
        headers: names in lower case.
        drained: whether nothing of it is left on the connection.
    """

    def __init__(self, scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], limits: Limits) -> None:
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self._receive = receive
        self._limits = limits
        self.drained = scope["method"] in {"GET", "HEAD", "OPTIONS"} and not self._announced()

    def _announced(self) -> bool:
        return b"content-length" in self.headers or b"transfer-encoding" in self.headers

    async def read(self) -> bytes:
        """The whole body, decompressed.

        Raises:
            LimitError: above the limit; by its announced length even before the first byte is read.
        """
        if self.drained:
            return b""
        self._limits.check_bytes(int(self.headers.get(b"content-length", b"0")))
        chunks, size = [], 0
        async for chunk in self._chunks():
            size += len(chunk)
            self._limits.check_bytes(size)
            chunks.append(chunk)
        return self._decompressed(chunks[0] if len(chunks) == 1 else b"".join(chunks))

    async def _chunks(self) -> AsyncIterator[bytes]:
        while not self.drained:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.drained = True
                raise RequestError("the connection was closed before the body was complete", code="CUT_OFF")
            self.drained = not message.get("more_body", False)
            yield message.get("body", b"")

    async def drain(self) -> None:
        """Read what the caller is still sending, for a while: else it would see a reset instead of the answer."""
        if self.headers.get(b"expect", b"").lower() == b"100-continue":
            return
        with suppress(RequestError, TimeoutError):
            async with asyncio.timeout(_LINGER):
                async for _ in self._chunks():
                    pass

    def _decompressed(self, body: bytes) -> bytes:
        encoding = self.headers.get(b"content-encoding", b"identity").lower()
        if encoding == b"identity":
            return body
        if encoding not in _ENCODINGS:
            raise RequestError(
                f"the body has the content encoding {encoding.decode('latin-1')!r:.40}; gzip and deflate are read",
                code="UNSUPPORTED_ENCODING",
                http_status=415,
            )
        inflater = zlib.decompressobj(_ENCODINGS[encoding])
        try:
            text = inflater.decompress(body, self._limits.message_bytes + 1)
        except zlib.error:
            raise PayloadError(f"the body is not {encoding.decode()}", code="BAD_ENCODING") from None
        self._limits.check_bytes(len(text))
        if not inflater.eof:
            raise PayloadError(f"the body's {encoding.decode()} is cut off", code="BAD_ENCODING")
        return text
