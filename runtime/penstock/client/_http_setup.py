"""How HTTP connections are made: with which certificates, and through which proxy."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore

from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from ._address import Address
    from ._settings import Tls

_IDLE: Final = 15.0  # seconds; a connection that was not used for longer is more likely dead than alive


def connection_settings(address: Address, tls: Tls) -> dict[str, Any]:
    """The settings of httpcore for connections to ``address``."""
    return {
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
