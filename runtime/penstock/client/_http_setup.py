"""How HTTP connections are made: with which certificates, and through which proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore

from ._tls import ssl_context

if TYPE_CHECKING:
    from ._address import Address
    from ._settings import Tls

_IDLE: Final = 15.0  # seconds; a connection that was not used for longer is more likely dead than alive

_SCHEMES: Final = {"grpc": "http", "grpcs": "https"}  # whose proxy grpcio takes, too


def connection_settings(address: Address, tls: Tls) -> dict[str, Any]:
    """The settings of httpcore for connections to ``address``."""
    return {
        "keepalive_expiry": _IDLE,
        "ssl_context": ssl_context(tls) if address.is_secure else None,
        "proxy": _proxy(address),
    }


def names_proxy(address: Address) -> bool:
    """Whether the environment names a proxy for this address."""
    return bool(_proxy_url(address))


def _proxy_url(address: Address) -> str:
    if address.is_loopback or proxy_bypass(address.host):
        return ""
    proxies = getproxies()
    scheme = _SCHEMES.get(address.scheme, address.scheme)
    return proxies.get(address.scheme) or proxies.get(scheme) or proxies.get("all") or ""


def _proxy(address: Address) -> httpcore.Proxy | None:
    url = _proxy_url(address)
    if not url:
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return httpcore.Proxy(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), auth=auth)
