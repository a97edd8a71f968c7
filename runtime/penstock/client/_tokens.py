"""Bearer tokens: fetched by OAuth2's password grant (RFC 6749, section 4.3), kept, renewed before they expire."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from penstock.proto.errors import DeadlineExceeded, ServiceError, SetupError, Unauthenticated

from ._address import Address, parse_address
from ._call import Call, Route
from ._failures import AttemptFailed, readable
from ._http import AsyncHttpConnections, Headers, HttpConnections, Reply
from ._http_failures import json_object, refusal

if TYPE_CHECKING:
    from ._settings import Tls

_log = logging.getLogger("penstock.client")

_TOKEN: Final = re.compile(r"[!-~]+")
_LARGEST_REPLY: Final = 1 << 20
_DEFAULT_LIFE: Final = 60.0  # seconds; RFC 6749 only recommends that the server tells
_RENEW_AT: Final = 0.8  # of its life, so that a token does not expire on its way
_HEADERS: Final = (
    (b"content-type", b"application/x-www-form-urlencoded"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"identity"),
)


@dataclass(frozen=True, slots=True)
class PasswordGrant:
    """Where a token comes from, and for whom.

    Attributes:
        address: the token endpoint, ``https://host/auth/realms/…/protocol/openid-connect/token``.
        client_id: the application, as the token service knows it.
        username: the user.
        password: never shown again.
    """

    address: str
    client_id: str
    username: str
    password: str = field(repr=False)


def checked_token(token: str) -> str:
    """A token without the line end that files and variables tend to have.

    Raises:
        SetupError: it has characters that no header can hold.
    """
    token = token.strip()
    if not _TOKEN.fullmatch(token):
        raise SetupError("a token is one word of visible ASCII characters; this one is not")
    return token


class _Kept:
    """A token and how long it is good."""

    def __init__(self, grant: PasswordGrant) -> None:
        self._grant = grant
        self.address = parse_address(grant.address)
        if self.address.is_grpc:
            raise SetupError(f"the token service has an https:// or http:// address, not {self.address}")
        self._token = ""
        self._renew_at = 0.0

    def current(self) -> str:
        """The token; empty where there is none, or it is time for a new one."""
        return self._token if monotonic() < self._renew_at else ""

    def drop(self, token: str) -> None:
        """Forget a token that was refused, unless it has been replaced already."""
        if token == self._token:
            self._renew_at = 0.0

    def question(self, call: Call) -> tuple[bytes, Headers, Call]:
        """Target, headers and body of the request for a token, within the time of ``call``."""
        grant = self._grant
        form = {
            "grant_type": "password",
            "client_id": grant.client_id,
            "username": grant.username,
            "password": grant.password,
        }
        body = urlencode(form).encode()
        headers = [
            (b"host", self.address.target.encode("idna")),
            *_HEADERS,
            (b"content-length", b"%d" % len(body)),
        ]
        return (self.address.path or "/").encode(), headers, Call(Route.READY, body, call.deadline, call.ends)

    def keep(self, reply: Reply) -> str:
        """The token of ``reply``, which is kept.

        Raises:
            AttemptFailed: there is none in it.
        """
        if reply.status != 200:
            raise self._refused(reply)
        answer = json_object(reply.content)
        token, life = answer.get("access_token"), answer.get("expires_in", _DEFAULT_LIFE)
        if not isinstance(token, str) or not _TOKEN.fullmatch(token) or not isinstance(life, int | float):
            raise AttemptFailed(ServiceError(f"the answer of {self.address} holds no token", code="BAD_REPLY"))
        self._token, self._renew_at = token, monotonic() + life * _RENEW_AT
        _log.debug("got a token from %s, good for %g s", self.address, life)
        return token

    def _refused(self, reply: Reply) -> AttemptFailed:
        if reply.status not in (400, 401, 403):
            return refusal(reply, self.address)
        answer = json_object(reply.content)
        why = readable(str(answer.get("error_description") or answer.get("error") or f"HTTP {reply.status}"))
        who = f"user {self._grant.username!r} of client {self._grant.client_id!r}"
        why = why.replace(self._grant.password, "•••") if self._grant.password else why
        return AttemptFailed(Unauthenticated(f"{self.address} gives no token to {who}: {why}"))


class Tokens:
    """Tokens for threads; only one of them fetches, the others wait for it."""

    def __init__(self, grant: PasswordGrant, tls: Tls) -> None:
        self._kept = _Kept(grant)
        self._connections = HttpConnections(self._kept.address, tls, _LARGEST_REPLY)
        self._lock = Lock()

    def get(self, call: Call) -> str:
        """A token that is good, fetched where needed.

        Raises:
            AttemptFailed: the token service gives none.
        """
        if token := self._kept.current():
            return token
        if not self._lock.acquire(timeout=call.left):
            raise AttemptFailed(_too_long(self._kept.address))
        try:
            return self._kept.current() or self._fetch(call)
        finally:
            self._lock.release()

    def _fetch(self, call: Call) -> str:
        target, headers, request = self._kept.question(call)
        return self._kept.keep(self._connections.request("POST", target, headers, request))

    def drop(self, token: str) -> None:
        """Forget a token that the service has refused."""
        self._kept.drop(token)

    def close(self) -> None:
        """Close the connections to the token service."""
        self._connections.close()


class AsyncTokens:
    """Tokens for tasks; only one of them fetches, the others wait for it."""

    def __init__(self, grant: PasswordGrant, tls: Tls) -> None:
        self._kept = _Kept(grant)
        self._connections = AsyncHttpConnections(self._kept.address, tls, _LARGEST_REPLY)
        self._lock = asyncio.Lock()

    async def get(self, call: Call) -> str:
        """A token that is good, fetched where needed.

        Raises:
            AttemptFailed: the token service gives none.
        """
        if token := self._kept.current():
            return token
        try:
            async with asyncio.timeout(call.left), self._lock:
                return self._kept.current() or await self._fetch(call)
        except TimeoutError:
            raise AttemptFailed(_too_long(self._kept.address)) from None

    async def _fetch(self, call: Call) -> str:
        target, headers, request = self._kept.question(call)
        return self._kept.keep(await self._connections.request("POST", target, headers, request))

    def drop(self, token: str) -> None:
        """Forget a token that the service has refused."""
        self._kept.drop(token)

    async def close(self) -> None:
        """Close the connections to the token service."""
        await self._connections.close()


def _too_long(address: Address) -> DeadlineExceeded:
    return DeadlineExceeded(f"no token from {address} in time")
