"""Calls over Seldon's REST API."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from ._call import Route
from ._failures import AttemptFailed, closed
from ._http import AsyncHttpConnections, HttpConnections
from ._http_failures import refusal

if TYPE_CHECKING:
    from ._address import Address
    from ._call import Call
    from ._http import Headers, Reply
    from ._settings import Tls

# Behind Seldon's ingress the whole API is under this prefix.
_INGRESS: Final = re.compile(r"/seldon/[^/]+/[^/]+")
_API: Final = "/api/v1.0"


class _Requests:
    """The constant parts of every request to one service."""

    def __init__(self, address: Address) -> None:
        self._targets = {
            route: quote(path, safe="/%:@!$&'()*+,;=~").encode() for route, path in _paths(address).items()
        }
        self._base: Headers = [
            (b"host", _host(address)),
            (b"accept", b"application/json"),
            # Numbers hardly shrink, and a packed reply could unpack to any size.
            (b"accept-encoding", b"identity"),
            (b"user-agent", b"penstock-client"),
        ]

    def of(self, call: Call, token: str) -> tuple[str, bytes, Headers]:
        """Method, target and headers."""
        headers = list(self._base)
        if token:
            headers.append((b"authorization", b"Bearer " + token.encode()))
        headers += ((name.encode(), value.encode()) for name, value in call.headers)
        if not call.body:
            return "GET", self._targets[call.route], headers
        headers += ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(call.body)))
        return "POST", self._targets[call.route], headers


class RestTransport:
    """REST for threads."""

    def __init__(self, address: Address, tls: Tls, max_message_bytes: int) -> None:
        self._address = address
        self._requests = _Requests(address)
        self._connections = HttpConnections(address, tls, max_message_bytes)
        self._closed = False

    def send(self, call: Call, token: str) -> bytes:
        """One attempt.

        Raises:
            AttemptFailed: it failed.
        """
        if self._closed:
            raise AttemptFailed(closed(self._address))
        return _content(self._connections.request(*self._requests.of(call, token), call), self._address)

    def close(self) -> None:
        """Close every connection."""
        self._closed = True
        self._connections.close()


class AsyncRestTransport:
    """REST for the tasks of one event loop."""

    def __init__(self, address: Address, tls: Tls, max_message_bytes: int) -> None:
        self._address = address
        self._requests = _Requests(address)
        self._connections = AsyncHttpConnections(address, tls, max_message_bytes)
        self._closed = False

    async def send(self, call: Call, token: str) -> bytes:
        """One attempt.

        Raises:
            AttemptFailed: it failed.
        """
        if self._closed:
            raise AttemptFailed(closed(self._address))
        return _content(await self._connections.request(*self._requests.of(call, token), call), self._address)

    async def close(self) -> None:
        """Close every connection."""
        self._closed = True
        await self._connections.close()


def _content(reply: Reply, address: Address) -> bytes:
    if 200 <= reply.status < 300:
        return reply.content
    raise refusal(reply, address)


def _host(address: Address) -> bytes:
    default = {"http": 80, "https": 443}[address.scheme]
    text = address.target if address.port != default else address.target.rpartition(":")[0]
    return text.encode("idna")


def _paths(address: Address) -> dict[Route, str]:
    """Where a service has its routes: at the usual places, or where the address has a path, there and under it."""
    path = address.path
    if not path:
        return _routes(f"{_API}/predictions", _API, root="")
    if _INGRESS.fullmatch(path):
        return _routes(f"{path}{_API}/predictions", f"{path}{_API}", root=path)
    if path.endswith("/predictions"):
        return _routes(path, path.removesuffix("/predictions"))
    if path.endswith("/predict"):  # the short names of a single Seldon unit
        return _routes(path, path.removesuffix("/predict"), feedback="send-feedback")
    return _routes(path, path)


def _routes(predict: str, under: str, feedback: str = "feedback", root: str | None = None) -> dict[Route, str]:
    return {
        Route.PREDICT: predict,
        Route.FEEDBACK: f"{under}/{feedback}",
        Route.METADATA: f"{under}/metadata",
        Route.READY: f"{under}/health/status",
        Route.MODELS: f"{under if root is None else root}/v2/repository/index",
    }
