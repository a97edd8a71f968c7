"""Asks whether a broker serves: an open port alone is none, mosquitto opens it before it has read its certificates."""

from __future__ import annotations

import socket
import ssl

from penstock.deploy.ports import LOOPBACK

_CLIENT = b"penstock-probe"
# CONNECT of MQTT 3.1.1: clean session, keep alive 60 s. Whoever is refused gets an answer, too.
_REST = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(_CLIENT).to_bytes(2, "big") + _CLIENT
_CONNECT = bytes([0x10, len(_REST)]) + _REST
_CONNACK = 0x20


def serves(port: int, *, tls: bool, timeout: float = 2.0) -> bool:
    """Whether a broker answers there; with TLS, whether it shakes hands, with whatever certificate."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout) as plain:
            if tls:
                _anyone().wrap_socket(plain).close()
                return True
            plain.sendall(_CONNECT)
            return plain.recv(1)[:1] == bytes([_CONNACK])
    except OSError:
        return False


def _anyone() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
