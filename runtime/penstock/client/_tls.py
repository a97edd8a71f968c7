"""Which certificates are trusted."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import httpcore

from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from ._settings import Tls


def ssl_context(tls: Tls) -> ssl.SSLContext:
    """A context as ``tls`` says.

    Raises:
        SetupError: the CA file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca_file) if tls.ca_file else httpcore.default_ssl_context()
    except OSError as error:
        raise SetupError(f"cannot use the CA file {tls.ca_file}: {error.strerror or error}") from None
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
