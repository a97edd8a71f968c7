"""The address of a service, and what it says about how to call it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from penstock.proto.errors import SetupError

_DEFAULT_PORTS: Final = {"grpc": 5000, "grpcs": 443, "http": 80, "https": 443}  # 5000 is Seldon's
_FORMS: Final = "grpc://host:port, host:port, grpcs://host:port, http://host:port/path or https://host/path"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service is.

    Attributes:
        scheme: ``grpc``, ``grpcs``, ``http`` or ``https``.
        host: name or IP address, IPv6 without brackets.
        port: TCP port.
        path: only for http and https; without a slash at its end, empty where there is none.
    """

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def is_grpc(self) -> bool:
        """Whether the service is called over gRPC, rather than REST."""
        return self.scheme in ("grpc", "grpcs")

    @property
    def is_secure(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme.endswith("s")

    @property
    def is_loopback(self) -> bool:
        """Whether the service is on this machine; a proxy must never come between."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def target(self) -> str:
        """``host:port``, an IPv6 host in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.target}{self.path}"


def parse_address(text: str) -> Address:
    """Read an address.

    Raises:
        SetupError: it has none of the known forms, or carries a user and password.
    """
    try:
        parts = urlsplit(text if "://" in text else f"grpc://{text}")
        port = parts.port
    except ValueError:
        raise SetupError(f"the port of a service's address is not a number; write {_FORMS}") from None
    _check(parts)
    try:
        (parts.hostname or "").encode("idna")
    except UnicodeError:
        raise SetupError(f"{parts.hostname!r} is no host name") from None
    return Address(
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=port if port is not None else _DEFAULT_PORTS[parts.scheme],
        path=parts.path.rstrip("/"),
    )


def _check(parts: SplitResult) -> None:
    # Checked first, so that no other message can show the password.
    if "@" in parts.netloc:
        raise SetupError("no user or password in a service's address; use a token, or the configuration file")
    shown = parts.geturl()
    if parts.scheme not in _DEFAULT_PORTS:
        raise SetupError(f"{shown!r}: unknown scheme {parts.scheme!r}; write {_FORMS}")
    if not parts.hostname:
        raise SetupError(f"{shown!r} names no host; write {_FORMS}")
    if parts.query or parts.fragment:
        raise SetupError(f"{parts.scheme}://{parts.netloc}{parts.path}: an address ends with its path, without ? or #")
    if parts.scheme.startswith("grpc") and parts.path.strip("/"):
        raise SetupError(f"{shown!r}: a gRPC address has no path; write {_FORMS}")
