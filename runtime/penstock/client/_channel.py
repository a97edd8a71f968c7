"""The settings of a gRPC channel."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc

from penstock.proto.errors import SetupError, Unavailable

from ._failures import AttemptFailed

if TYPE_CHECKING:
    from ._address import Address
    from ._settings import Tls

Options = list[tuple[str, Any]]

_OPTIONS: Final = (
    # Our own retries come back after 50 ms; by default a channel would not even try to connect again for a second.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A peer that vanished without closing (power, network) would otherwise swallow calls for a quarter of an hour.
    # Only while calls wait: servers hang up on clients that ping without need.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 0),
)


def channel_options(address: Address, max_message_bytes: int) -> Options:
    """The options of a channel to ``address`` that takes messages of up to ``max_message_bytes``."""
    return [
        *_OPTIONS,
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.enable_http_proxy", 0 if address.is_loopback else 1),
    ]


def credentials(address: Address, tls: Tls, seconds: float) -> tuple[grpc.ChannelCredentials, Options]:
    """Credentials for a ``grpcs://`` address, and the options that belong to them.

    Without verification the certificate that the server shows is fetched first and then trusted, since grpcio has no
    way to trust any. That takes up to ``seconds``.

    Raises:
        SetupError: the CA file cannot be read.
        AttemptFailed: the certificate could not be fetched.
    """
    if not tls.verify:
        try:
            certificate, name = _shown_certificate(address, seconds)
        except OSError as error:
            text = f"cannot reach {address}: no TLS connection ({error}); is the service running there, and with TLS?"
            raise AttemptFailed(Unavailable(text), executed=False) from None
        return grpc.ssl_channel_credentials(certificate), [("grpc.ssl_target_name_override", name)]
    if tls.ca_file is None:
        return grpc.ssl_channel_credentials(), []
    try:
        return grpc.ssl_channel_credentials(Path(tls.ca_file).read_bytes()), []
    except OSError as error:
        raise SetupError(f"cannot read the CA file {tls.ca_file}: {error.strerror}") from None


def _shown_certificate(address: Address, seconds: float) -> tuple[bytes, str]:
    """The certificate in PEM, and a name that it is for."""
    target = (address.host, address.port)
    pem = ssl.get_server_certificate(target, timeout=seconds)
    # A context tells what is in a certificate only after it has trusted it: hence the second connection.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=pem)
    with socket.create_connection(target, seconds) as raw, context.wrap_socket(raw) as secure:
        names = (secure.getpeercert() or {}).get("subjectAltName", ())
    # grpcio only compares: a wildcard is satisfied by any first label.
    return pem.encode(), str(names[0][1]).replace("*", "any", 1) if names else address.host
