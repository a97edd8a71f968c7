"""How aiokafka and Faust are told to reach the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiokafka.helpers import create_ssl_context  # type: ignore[import-untyped]

from penstock.proto import SetupError

from .calls import secret

if TYPE_CHECKING:
    from ssl import SSLContext

    from .spec import Kafka, Security


def aiokafka_settings(kafka: Kafka) -> dict[str, Any]:
    """Arguments that aiokafka's producer and admin client have in common.

    Raises:
        SetupError: a secret is not in the environment, or a certificate cannot be read.
    """
    security = kafka.security
    settings: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in kafka.bootstrap.split(",")],
        "client_id": kafka.group,
        "security_protocol": security.protocol,
        "ssl_context": _tls(security),
    }
    if security.protocol.startswith("SASL"):
        settings |= {
            "sasl_mechanism": security.mechanism,
            "sasl_plain_username": security.username,
            "sasl_plain_password": secret(security.password_env),
        }
    return settings


def faust_broker(kafka: Kafka) -> str:
    """The broker's address as Faust writes it."""
    return ";".join(f"kafka://{server.strip()}" for server in kafka.bootstrap.split(","))


def faust_credentials(kafka: Kafka) -> Any:
    """Credentials as Faust takes them; None for none.

    Raises:
        SetupError: as `aiokafka_settings`.
    """
    import faust  # not for the pipe, which asks for topics with these settings, too

    security = kafka.security
    context = _tls(security)
    if security.protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=security.username,
            password=secret(security.password_env),
            mechanism=security.mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context else None


def _tls(security: Security) -> SSLContext | None:
    if not security.protocol.endswith("SSL"):
        return None
    try:
        context: SSLContext = create_ssl_context(
            cafile=security.ca_file and str(security.ca_file),
            certfile=security.cert_file and str(security.cert_file),
            keyfile=security.key_file and str(security.key_file),
            password=secret(security.key_password_env) or None,
        )
    except OSError as error:  # ssl.SSLError is one
        raise SetupError(f"kafka.security: a certificate or key cannot be used: {error}", code="BAD_SPEC") from None
    return context
