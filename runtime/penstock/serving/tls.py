"""Certificate and key of the listeners, and whom they trust."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.proto import SetupError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# RFC 9113, 9.2.1 and 9.2.2: HTTP/2 takes TLS 1.2 or later, and of 1.2 only what has forward secrecy and an AEAD.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


@dataclass(frozen=True, slots=True)
class Tls:
    """What a listener shows, and what it asks for.

    Attributes:
        certificate: PEM file; the service's own first, then those that vouch for it.
        key: PEM file with its private key, without a passphrase.
        client_ca: PEM file of who vouches for callers; where it is given, a caller without a certificate is refused.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def context(self, protocols: Sequence[str] = ("h2", "http/1.1")) -> ssl.SSLContext:
        """The server's side of TLS, which offers ``protocols`` by ALPN (RFC 7301), the first one first.

        Raises:
            SetupError: a file is missing, cannot be read or is not what it should be.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_CIPHERS)
        context.set_alpn_protocols(list(protocols))
        try:
            # A passphrase would be asked for on the terminal, where a service has nobody to answer.
            context.load_cert_chain(self.certificate, self.key, password=lambda: "")
        except (OSError, ValueError) as error:
            raise _unusable(f"certificate {self.certificate} with key {self.key}", error) from None
        if self.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            try:
                context.load_verify_locations(self.client_ca)
            except (OSError, ValueError) as error:
                raise _unusable(f"client CA {self.client_ca}", error) from None
        return context

    def pem(self) -> tuple[bytes, bytes, bytes | None]:
        """Key, certificate and client CA as grpcio takes them, after the same checks as `context`.

        Raises:
            SetupError: a file is missing, cannot be read or is not what it should be.
        """
        self.context()
        trusted = self.client_ca.read_bytes() if self.client_ca is not None else None
        return self.key.read_bytes(), self.certificate.read_bytes(), trusted


def _unusable(what: str, error: OSError | ValueError) -> SetupError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return SetupError(f"TLS: {what} cannot be used ({reason}); both are PEM files", code="BAD_TLS")
