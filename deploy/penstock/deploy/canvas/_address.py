"""The address of a NiFi, in each form that people copy from a browser or a script."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from penstock.proto.errors import SetupError

DEFAULT_ADDRESS: Final = "http://127.0.0.1:18080"  # where `penstock nifi up` puts the local one
_ENDINGS: Final = ("/nifi-api", "/nifi")


def base_of(address: str) -> str:
    """The part before ``/nifi`` and ``/nifi-api``, so that both can be put behind it.

    Takes ``host:port``, ``http(s)://host:port`` with or without ``/nifi``, ``/nifi-api`` or a proxy's prefix, and
    what a browser shows while a canvas is open.

    Raises:
        SetupError: it is none of these.
    """
    text = address.strip()
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query:
        raise SetupError("not an address of a NiFi; write it as http://host:port or https://host:port")
    if "@" in parts.netloc:
        raise SetupError("the address of a NiFi must not hold a user or a password; give the user as an option")
    path = parts.path.rstrip("/")
    for ending in _ENDINGS:
        path = path.removesuffix(ending)
    return f"{parts.scheme}://{parts.netloc}{path}"


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine, so that a proxy must never come between."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
