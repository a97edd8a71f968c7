"""The ASGI application: finds the route, has the body read, answers, counts."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from .body import Body
from .exchange import HTML, Request, Response
from .failures import told

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.proto import Limits
    from penstock.serving.metrics import Metrics

    from .exchange import Door
    from .routing import Match, Router

    Scope = dict[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

_ANY_ORIGIN = (b"access-control-allow-origin", b"*")
_CLOSE = (b"connection", b"close")


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
        body = Body(scope, receive, self._limits)
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


async def _read(request: Request, match: Match, body: Body) -> Request:
    return Request(request.method, request.path, request.query, request.headers, await body.read(), match.arguments)


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
