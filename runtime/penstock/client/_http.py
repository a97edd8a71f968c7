"""HTTP requests to one host, with a bounded reply and a deadline that holds.

On httpcore, the engine of httpx: a request here needs no cookies, redirects or URL merging, and costs half.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore

from penstock.proto.errors import LimitError, SetupError

from ._failures import AttemptFailed
from ._http_failures import broken, late
from ._network import Deadline, DeadlineBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._address import Address
    from ._call import Call
    from ._settings import Tls

Headers = list[tuple[bytes, bytes]]

_IDLE: Final = 15.0  # seconds; a connection that was not used for longer is more likely dead than alive


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Attributes:
        status: HTTP status.
        headers: names in lower case.
        content: the whole body.
    """

    status: int
    headers: dict[bytes, bytes]
    content: bytes


class HttpConnections:
    """Connections to one host that threads share."""

    def __init__(self, address: Address, tls: Tls, max_reply_bytes: int) -> None:
        self._address = address
        self._largest = max_reply_bytes
        self._deadline = Deadline()
        self._pool = httpcore.ConnectionPool(
            network_backend=DeadlineBackend(self._deadline), **_pool_settings(address, tls)
        )

    def request(self, method: str, target: bytes, headers: Headers, call: Call) -> Reply:
        """Send ``call.body`` to the path ``target``.

        Raises:
            AttemptFailed: no reply, or one that is too large.
        """
        self._deadline.ends = call.ends
        response = None
        try:
            response = self._pool.handle_request(_request(self._address, method, target, headers, call))
            content = bytearray()
            for chunk in response.iter_stream():
                content += chunk
                _check_size(len(content), self._largest, self._address)
        except httpcore.TimeoutException as error:
            raise late(error, self._address, call) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
            raise broken(error, self._address) from None
        finally:
            if response is not None:
                response.close()
        return Reply(response.status, _lower(response.headers), bytes(content))

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


class AsyncHttpConnections:
    """Connections to one host that the tasks of one event loop share."""

    def __init__(self, address: Address, tls: Tls, max_reply_bytes: int) -> None:
        self._address = address
        self._largest = max_reply_bytes
        self._pool = httpcore.AsyncConnectionPool(
            network_backend=httpcore.AnyIOBackend(), **_pool_settings(address, tls)
        )

    async def request(self, method: str, target: bytes, headers: Headers, call: Call) -> Reply:
        """Send ``call.body`` to the path ``target``.

        Raises:
            AttemptFailed: no reply, or one that is too large.
        """
        response = None
        try:
            async with asyncio.timeout(call.left):
                request = _request(self._address, method, target, headers, call)
                response = await self._pool.handle_async_request(request)
                content = bytearray()
                async for chunk in response.aiter_stream():
                    content += chunk
                    _check_size(len(content), self._largest, self._address)
        except (TimeoutError, httpcore.TimeoutException) as error:
            raise late(error, self._address, call) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
            raise broken(error, self._address) from None
        finally:
            if response is not None:
                await response.aclose()
        return Reply(response.status, _lower(response.headers), bytes(content))

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


def _request(address: Address, method: str, target: bytes, headers: Headers, call: Call) -> httpcore.Request:
    url = httpcore.URL(
        scheme=address.scheme.encode(), host=address.host.encode("idna"), port=address.port, target=target
    )
    return httpcore.Request(method, url, headers=headers, content=call.body)


def _pool_settings(address: Address, tls: Tls) -> dict[str, Any]:
    # No bound on connections: how many calls run at once is the caller's business.
    return {
        "max_connections": None,
        "max_keepalive_connections": None,
        "keepalive_expiry": _IDLE,
        "ssl_context": _ssl_context(tls) if address.is_secure else None,
        "proxy": _proxy(address),
    }


def _ssl_context(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca_file) if tls.ca_file else httpcore.default_ssl_context()
    except OSError as error:
        raise SetupError(f"cannot use the CA file {tls.ca_file}: {error.strerror or error}") from None
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _proxy(address: Address) -> httpcore.Proxy | None:
    """The proxy that the environment names for this address."""
    if address.is_loopback or proxy_bypass(address.host):
        return None
    proxies = getproxies()
    url = proxies.get(address.scheme) or proxies.get("all")
    if not url:
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return httpcore.Proxy(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), auth=auth)


def _check_size(size: int, largest: int, address: Address) -> None:
    if size > largest:
        text = f"the reply of {address} has more than {largest:,} bytes; raise max_message_bytes"
        raise AttemptFailed(LimitError(text, code="MESSAGE_TOO_LARGE"))


def _lower(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    return {name.lower(): value for name, value in headers}
