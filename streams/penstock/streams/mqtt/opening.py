"""aiomqtt's client as our settings want it: protocol, session, user, TLS."""

from __future__ import annotations

import logging
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from penstock.proto import SetupError
from penstock.streams.calls import secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .settings import BrokerService, Tls

V5: Final = 5
MOST_IN_FLIGHT: Final = 65_535
"""What may be unacknowledged unless the other side says less; who sends more is dropped (MQTT 5.0, 3.1.2.11.3)."""

_CONNECT_TIMEOUT = 10.0
_quiet = logging.getLogger("penstock.streams.mqtt.paho")
_quiet.setLevel(logging.CRITICAL)  # what it tells as errors is told by `LinkLost`, once and with what follows


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes for us when the connection breaks; retained."""

    topic: str
    payload: bytes


def new_client(
    broker: BrokerService, identifier: str, *, in_flight: int, session_expiry: int, will: Will | None
) -> aiomqtt.Client:
    """A client that is not connected yet; what is said of the session is in `link.Link`.

    Raises:
        SetupError: a secret is not in the environment, or a TLS file cannot be used.
    """
    settings: Mapping[str, Any]
    if broker.protocol == V5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.ReceiveMaximum = min(in_flight, MOST_IN_FLIGHT)
        properties.SessionExpiryInterval = session_expiry
        settings = {"protocol": aiomqtt.ProtocolVersion.V5, "clean_start": not session_expiry, "properties": properties}
    else:
        settings = {"protocol": aiomqtt.ProtocolVersion.V311, "clean_session": not session_expiry}
    return aiomqtt.Client(
        broker.host,
        broker.port,
        identifier=identifier,
        username=broker.username or None,
        password=secret(broker.password_env) or None,
        keepalive=broker.keepalive,
        logger=_quiet,
        timeout=_CONNECT_TIMEOUT,
        tls_context=_tls_context(broker.tls) if broker.tls else None,
        # A reply and an acknowledgement are small packets that follow each other: Nagle would hold each for 40 ms.
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        will=aiomqtt.Will(will.topic, will.payload, qos=1, retain=True) if will else None,
        **settings,
    )


class _ClosedOnFailure(ssl.SSLSocket):
    """Closes itself where the handshake fails; paho leaves that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  (as ssl has it)
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _tls_context(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(tls.ca_file) if tls.ca_file else None)
        context.sslsocket_class = _ClosedOnFailure
        if tls.cert_file:
            password = secret(tls.key_password_env) or None
            context.load_cert_chain(tls.cert_file, tls.key_file, password)
    except (OSError, ValueError) as error:
        raise SetupError(f"the TLS files of the broker cannot be used: {error}", code="BAD_TLS") from None
    return context
