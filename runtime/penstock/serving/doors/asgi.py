"""The ASGI application: reads the body within the limit, finds the route, answers, counts."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any

from penstock.proto import PayloadError, RequestError

from .exchange import HTML, Request, Response
from .failures import told

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from penstock.proto import Limits
    from penstock.serving.metrics import Metrics

    from .exchange import Door
    from .routing import Match, Router

    Scope = dict[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

_ANY_ORIGIN = (b"access-control-allow-origin", b"*")
_CLOSE = (b"connection", b"close")
# How long a body that nobody wants is read on, seconds.
_LINGER = 10.0
_ENCODINGS = {b"gzip": 31, b"deflate": 15}


class Application:
    """One callable for the HTTP server; ``fallback`` words the errors of paths that no door has."""

    def __init__(self, router: Router, fallback: Callable[[str], Door], limits: Limits, metrics: Metrics) -> None:
        self._router = router
        self._fallback = fallback
        self._limits = limits
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = perf_counter()
        body = _Body(scope, receive, self._limits)
        request = Request(scope["method"], scope["path"], scope["query_string"], body.headers, b"")
        door, call = self._fallback(request.path), "none"
        try:
            raw_path = scope["raw_path"].decode("latin-1")
            if request.method == "OPTIONS":
                response = _options(self._router.methods(request.path, raw_path))
            else:
                match = self._router.find(request.method, request.path, raw_path)
                door, call = match.door, match.route.call
                whole = await _read(request, match, body)
                started = perf_counter()
                response = await match.route.handler(whole)
        except Exception as error:
            response = door.failure(told(error), request)
        if not body.drained:
            await body.drain()
        await _send(response, send, closing=not body.drained)
        self._metrics.request(door.name, call, str(response.status), perf_counter() - started)


async def _read(request: Request, match: Match, body: _Body) -> Request:
    return Request(request.method, request.path, request.query, request.headers, await body.read(), match.arguments)


class _Body:
    """A request's body, never more of it in memory than the limit."""

    def __init__(self, scope: Scope, receive: Receive, limits: Limits) -> None:
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

    async def _chunks(self) -> Any:
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


def _options(methods: tuple[str, ...]) -> Response:
    allowed = ", ".join((*methods, "OPTIONS")).encode()
    headers = (
        (b"allow", allowed),
        (b"access-control-allow-methods", allowed),
        (b"access-control-allow-headers", b"*"),
    )
    return Response(b"", content_type=HTML, headers=headers)


async def _send(response: Response, send: Send, *, closing: bool) -> None:
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", str(len(response.body)).encode()),
        _ANY_ORIGIN,
        *response.headers,
    ]
    if closing:
        headers.append(_CLOSE)
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
