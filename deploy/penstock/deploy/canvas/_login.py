"""Who we are for a NiFi, and by what we know it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Login:
    """How to log in to a NiFi: not at all (the default), with user and password, a token, or a client certificate.

    Attributes:
        user: name for NiFi's own login; NiFi gives a token for it, which is renewed when it has expired.
        password: of the user.
        token: a bearer token that somebody else issued.
        certificate: PEM file of a client certificate.
        key: PEM file of its key; None when it is in the same file.
        key_password: of the key.
        ca_file: PEM file of the authorities to trust instead of the well-known ones.
        verify: False accepts any server. Only for trying things out: whoever is in between can read everything.
    """

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    certificate: Path | None = None
    key: Path | None = None
    key_password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    verify: bool = True

    def __post_init__(self) -> None:
        if (self.user is None) != (self.password is None):
            raise SetupError("a login to NiFi needs both user and password; the password is in PENSTOCK_NIFI_PASSWORD")
        if self.user is not None and self.token is not None:
            raise SetupError("log in to NiFi with a user or with a token, not with both")
        if self.key is not None and self.certificate is None:
            raise SetupError("the key of a client certificate is given, but not the certificate")

    @property
    def is_anonymous(self) -> bool:
        """Whether there is nothing to log in with."""
        return self.user is None and self.token is None and self.certificate is None

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str],
        *,
        user: str | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
        ca_file: Path | None = None,
        verify: bool = True,
    ) -> Login:
        """The login that ``PENSTOCK_NIFI_*`` describes; what is given here comes before it.

        The variables are ``USER``, ``PASSWORD``, ``TOKEN``, ``CERTIFICATE``, ``KEY``, ``KEY_PASSWORD`` and ``CA_FILE``.
        A secret is never an argument, for anybody on the machine can read the arguments of a process.

        Raises:
            SetupError: they contradict one another, or one is missing.
        """

        def value(name: str) -> str | None:
            return environment.get(f"PENSTOCK_NIFI_{name}") or None

        def path(name: str) -> Path | None:
            text = value(name)
            return Path(text).expanduser() if text else None

        named = user or value("USER")
        return cls(
            user=named,
            password=value("PASSWORD") if named else None,
            # A user that is named on the command line is meant, whatever token the shell has.
            token=None if user else value("TOKEN"),
            certificate=certificate or path("CERTIFICATE"),
            key=key or path("KEY"),
            key_password=value("KEY_PASSWORD"),
            ca_file=ca_file or path("CA_FILE"),
            verify=verify,
        )

    def tls(self) -> ssl.SSLContext:
        """The context for an https connection.

        Raises:
            SetupError: a file cannot be read, or the key does not fit.
        """
        try:
            context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        except OSError as error:
            raise SetupError(f"cannot use the CA file {self.ca_file}: {error.strerror or error}") from None
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.certificate:
            self._load_certificate(context, self.certificate)
        return context

    def _load_certificate(self, context: ssl.SSLContext, certificate: Path) -> None:
        def password() -> str:
            # Without this, OpenSSL would ask on the terminal, or wait for ever where there is none.
            if self.key_password is None:
                raise SetupError(f"the key of {certificate} has a password: set PENSTOCK_NIFI_KEY_PASSWORD")
            return self.key_password

        try:
            context.load_cert_chain(certificate, self.key, password)
        except OSError as error:
            reason = "key or password does not fit" if isinstance(error, ssl.SSLError) else error.strerror
            raise SetupError(f"cannot use the client certificate {certificate}: {reason}") from None
