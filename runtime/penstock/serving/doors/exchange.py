"""What a REST door is given and what it gives back, whatever server it came through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from penstock.proto import PenstockError

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"
HTML = b"text/html; charset=utf-8"


class Request(NamedTuple):
    """One HTTP request, its body read.

    Attributes:
        method: in capitals.
        path: decoded.
        query: what stands behind the question mark, still encoded.
        headers: names in lower case; of a repeated one the last.
        body: complete, and not above the limit.
        arguments: what the variable segments of the route's path stood for, in order.
    """

    method: str
    path: str
    query: bytes
    headers: Mapping[bytes, bytes]
    body: bytes
    arguments: tuple[str, ...] = ()


class Response(NamedTuple):
    """One HTTP answer; ``headers`` come on top of content type and length."""

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


Handler = Callable[[Request], Awaitable[Response]]


class Route(NamedTuple):
    """A path and what answers there.

    ``path`` may hold segments such as ``{name}``, each standing for any one segment.
    ``call`` names what is done, for the metrics.
    """

    methods: tuple[str, ...]
    path: str
    call: str
    handler: Handler


class Door(NamedTuple):
    """One protocol over REST: its name for the metrics, its routes, and how it words an error."""

    name: str
    routes: Sequence[Route]
    failure: Callable[[PenstockError, Request], Response]
