"""The configuration file of a client.

The parameters are those of the platform's own ``invoke`` client:

=========================================  ============================  =====================================
there (YAML)                               here (TOML)                   default
=========================================  ============================  =====================================
mxe / model-service-uri                    ``service-address``           none
mxe / access-token-uri                     ``token-address``             no token
mxe / client-id                            ``client-id``                 ``mxe-rest-client``
mxe / username                             ``user``
mxe / password                             ``password``                  ``$PENSTOCK_PASSWORD``
security / disableSslCertVerification      ``certificate-check``         true (the opposite of *disable*)
logging / level / root                     ``log-level``                 left alone
                                           ``token``                     ``$PENSTOCK_TOKEN``
                                           ``ca-file``                   the well-known authorities
                                           ``deadline``                  3 seconds
                                           ``max-message-bytes``         64 MiB
=========================================  ============================  =====================================
"""

from __future__ import annotations

import logging
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from penstock.proto import DEFAULT_LIMITS
from penstock.proto.errors import SetupError

from ._settings import DEFAULT_DEADLINE, Tls
from ._tokens import PasswordGrant

_log = logging.getLogger("penstock.client")

_LEVELS: Final = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_NUMBER: Final = (int, float)
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "service-address": (str,),
    "token-address": (str,),
    "client-id": (str,),
    "user": (str,),
    "password": (str,),
    "certificate-check": (bool,),
    "log-level": (str,),
    "token": (str,),
    "ca-file": (str,),
    "deadline": _NUMBER,
    "max-message-bytes": (int,),
}
_DEFAULT_CLIENT_ID: Final = "mxe-rest-client"


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """The settings of a client, as a file or a program gives them.

    Attributes:
        address: of the service.
        deadline: seconds.
        token: a bearer token, or where to get one.
        tls: how the certificate is checked, the token service's too.
        max_message_bytes: of one request or reply.
        log_level: of the logger ``penstock.client``: trace, debug, info, warning or error; empty leaves it alone.
    """

    address: str
    deadline: float = DEFAULT_DEADLINE
    token: str | PasswordGrant | None = field(default=None, repr=False)
    tls: Tls = field(default_factory=Tls)
    max_message_bytes: int = DEFAULT_LIMITS.message_bytes
    log_level: str = ""

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of `Client` and `AsyncClient`."""
        return {
            "deadline": self.deadline,
            "token": self.token,
            "tls": self.tls,
            "max_message_bytes": self.max_message_bytes,
        }

    def apply_log_level(self) -> None:
        """Set the level of the logger ``penstock.client``; handlers are the program's business."""
        if self.log_level:
            _log.setLevel(_LEVELS[self.log_level])
        if not self.tls.verify:
            _log.warning("the certificate of %s is not checked", self.address)


def load_config(path: str | Path) -> ClientConfig:
    """Read a configuration file.

    Raises:
        SetupError: it cannot be read, has an unknown parameter, or one of the wrong type.
    """
    values = _checked(_parsed(Path(path)), path)
    return ClientConfig(
        address=values["service-address"],
        deadline=values.get("deadline", DEFAULT_DEADLINE),
        token=_token(values, path),
        tls=Tls(ca_file=values.get("ca-file"), verify=values.get("certificate-check", True)),
        max_message_bytes=values.get("max-message-bytes", DEFAULT_LIMITS.message_bytes),
        log_level=values.get("log-level", ""),
    )


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SetupError(f"cannot read the client configuration {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} is not TOML: {error}") from None


def _checked(values: dict[str, Any], path: str | Path) -> dict[str, Any]:
    for name, value in values.items():
        types = _TYPES.get(name)
        if types is None:
            raise SetupError(f"{path}: unknown parameter {name!r}; there are {', '.join(_TYPES)}")
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise SetupError(f"{path}: {name} must be {' or '.join(each.__name__ for each in types)}")
    if "service-address" not in values:
        raise SetupError(f"{path}: service-address is missing")
    if values.get("log-level", "info") not in _LEVELS:
        raise SetupError(f"{path}: log-level must be one of {', '.join(_LEVELS)}")
    return values


def _token(values: dict[str, Any], path: str | Path) -> str | PasswordGrant | None:
    if "token-address" not in values:
        return values.get("token") or os.environ.get("PENSTOCK_TOKEN")
    if "token" in values:
        raise SetupError(f"{path}: give either token or token-address")
    password = values.get("password") or os.environ.get("PENSTOCK_PASSWORD")
    if "user" not in values or not password:
        raise SetupError(f"{path}: token-address needs user, and password or the variable PENSTOCK_PASSWORD")
    return PasswordGrant(
        address=values["token-address"],
        client_id=values.get("client-id", _DEFAULT_CLIENT_ID),
        username=values["user"],
        password=password,
    )
