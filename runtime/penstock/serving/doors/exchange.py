"""What a REST door is given and what it gives back, whatever server it came through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

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


class Underway(Protocol):
    """A request that is being answered."""

    def cancel(self) -> None:
        """Nobody waits any more."""


# A way to answer some requests in fewer steps than the handler's, and with the same answer: takes the body, and what
# is to be told the answer when it is there. None where the handler has to answer. Headers and query have no part in it.
Short = Callable[[bytes, Callable[[Response], None]], Underway | None]


class Route(NamedTuple):
    """A path and what answers there.

    ``path`` may hold segments such as ``{name}``, each standing for any one segment.
    ``call`` names what is done, for the metrics.
    ``short`` answers many of the requests that are a body and nothing else.
    """

    methods: tuple[str, ...]
    path: str
    call: str
    handler: Handler
    short: Short | None = None


class Door(NamedTuple):
    """One protocol over REST: its name for the metrics, its routes, and how it words an error."""

    name: str
    routes: Sequence[Route]
    failure: Callable[[PenstockError, Request], Response]
