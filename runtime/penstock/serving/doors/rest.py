"""The REST doors as one: a request in, an answer out, counted; whatever version of HTTP brought it."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

from penstock.proto import PenstockError

from .exchange import HTML, JSON, Handler, Request, Response
from .failures import told
from .inference_rest import inference_door
from .pages import pages_door
from .routing import Router
from .seldon_rest import seldon_door
from .seldon_tables import GAVE_UP, PUID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.proto import Limits
    from penstock.serving.metrics import Metrics
    from penstock.serving.service import Service
    from penstock.serving.settings import Settings

    from .exchange import Door, Short
    from .rest_inflating import BodyInflating

# Different targets that are asked for again and again are few; so many at least are found by one look-up.
_MOST_KNOWN: Final = 1024
_LONGEST_KNOWN: Final = 256
# Headers that change the answer.
_TELLING: Final = frozenset((PUID, b"content-encoding"))


class Found(NamedTuple):
    """What answers a request, known from its first line.

    Attributes:
        wants_body: whether the body is looked at; where not, a caller that waits to send it need not.
        short: see `exchange.Short`.
    """

    door: Door
    call: str
    handler: Handler
    method: str
    path: str
    query: bytes
    arguments: tuple[str, ...]
    wants_body: bool
    short: Short | None = None


class Rest:
    """All REST doors of a service.

    Attributes:
        limits: for the bodies; whoever reads them keeps to it and has `refuse` word it.
    """

    def __init__(self, router: Router, fallback: Callable[[str], Door], limits: Limits, metrics: Metrics) -> None:
        self.limits = limits
        self._router = router
        self._fallback = fallback
        self._metrics = metrics
        self._inflating: BodyInflating | None = None
        self._known: dict[tuple[bytes, bytes], Found] = {}

    def find(self, method: bytes, target: bytes) -> Found:
        """What answers; where there is nothing, that is what is answered.

        Args:
            method: in capitals.
            target: as in the request's first line: path with query, or a whole URL (RFC 9112, 3.2).
        """
        key = (method, target)
        found = self._known.get(key)
        if found is None:
            found = self._find(method.decode("latin-1"), target)
            if len(target) <= _LONGEST_KNOWN:
                if len(self._known) >= _MOST_KNOWN:
                    self._known.clear()
                self._known[key] = found
        return found

    def _find(self, method: str, target: bytes) -> Found:
        raw_path, query = _split(target)
        path = unquote(raw_path)
        try:
            if method == "OPTIONS":
                handler = _options(self._router.methods(path, raw_path))
                return Found(self._fallback(path), "none", handler, method, path, query, (), wants_body=False)
            door, route, arguments = self._router.find(method, path, raw_path)
        except PenstockError as error:
            handler = _failing(error)
            return Found(self._fallback(path), "none", handler, method, path, query, (), wants_body=False)
        short = route.short if method == "POST" and not query else None
        return Found(door, route.call, route.handler, method, path, query, arguments, wants_body=True, short=short)

    def short(self, found: Found, headers: Mapping[bytes, bytes]) -> Short | None:
        """The short way to answer, where the headers say nothing that would be missed on it."""
        is_plain = headers.get(b"content-type") == JSON and not _TELLING & headers.keys()
        return found.short if is_plain else None

    async def answer(self, found: Found, headers: Mapping[bytes, bytes], body: bytes) -> Response:
        """Answer a request; errors are answers, too.

        Args:
            found: by `find`.
            headers: names in lower case; of a repeated one the last.
            body: complete.
        """
        started = perf_counter()
        status = GAVE_UP
        try:
            if b"content-encoding" in headers and found.wants_body:
                body = await self._inflated(body, headers[b"content-encoding"])
            response = await found.handler(
                Request(found.method, found.path, found.query, headers, body, found.arguments)
            )
            status = "200" if response.status == 200 else str(response.status)
        except Exception as error:
            response = _failure(found, headers, told(error))
            status = str(response.status)
        finally:
            self._metrics.request(found.door.name, found.call, status, perf_counter() - started)
        return response

    async def _inflated(self, body: bytes, encoding: bytes) -> bytes:
        if self._inflating is None:
            # Imported when the first one comes: a start should be short.
            from .rest_inflating import BodyInflating

            self._inflating = BodyInflating(self.limits)
        return await self._inflating.inflated(body, encoding)

    def refuse(self, found: Found, headers: Mapping[bytes, bytes], error: PenstockError) -> Response:
        """The answer to a request that is not even read to its end."""
        response = _failure(found, headers, error)
        self._metrics.request(found.door.name, found.call, str(response.status), 0.0)
        return response


def rest(service: Service, settings: Settings) -> Rest:
    """The REST doors of a service."""
    inference, seldon = inference_door(service, settings), seldon_door(service, settings)
    router = Router([seldon, inference, pages_door(service, [seldon, inference])])

    def fallback(path: str) -> Door:
        return inference if path.startswith("/v2") else seldon

    return Rest(router, fallback, settings.limits, service.metrics)


def _split(target: bytes) -> tuple[str, bytes]:
    """Path, still encoded, and query."""
    if not target.startswith(b"/") and b"://" in target:
        target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
    path, _, query = target.partition(b"#")[0].partition(b"?")
    return path.decode("latin-1"), query


def _failure(found: Found, headers: Mapping[bytes, bytes], error: PenstockError) -> Response:
    return found.door.failure(error, Request(found.method, found.path, found.query, headers, b""))


def _failing(error: PenstockError) -> Handler:
    async def handler(_request: Request) -> Response:
        # Without the traceback of those before, which would grow with each.
        raise error.with_traceback(None)

    return handler


def _options(methods: tuple[str, ...]) -> Handler:
    allowed = ", ".join((*methods, "OPTIONS")).encode()
    headers = (
        (b"allow", allowed),
        (b"access-control-allow-methods", allowed),
        (b"access-control-allow-headers", b"*"),
    )

    async def handler(_request: Request) -> Response:
        return Response(b"", content_type=HTML, headers=headers)

    return handler
