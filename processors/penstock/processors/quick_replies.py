"""Ends the 40 ms that NiFi's bridge to Python takes for content of more than about 6 KB.

NiFi's Java side (nifi-py4j-bridge and py4j 0.10.9) writes to the Python process in pieces of 8192 characters and
never sets TCP_NODELAY. Nagle's algorithm holds the second piece back until the first one is acknowledged, and Linux
delays that acknowledgement by 40 ms. Seen in NiFi 2.3.0; nothing in 2.0 to 2.9 sets it either.

The cure is on this side and changes no protocol: acknowledge at once (TCP_QUICKACK, which the kernel forgets, so
before each read) and do not hold back what we send (TCP_NODELAY). The streams stay py4j's own: only how their sockets
are read is replaced, so partial replies, ends, errors and time-outs are what they were. py4j also decodes base64 byte
by byte in Python; its own C function gives the same.

``PENSTOCK_NIFI_QUICK_REPLIES=off`` turns it off. Where py4j looks different than here, nothing is changed.
"""

from __future__ import annotations

import logging
import os
import socket
from inspect import signature
from typing import Any, Final

import pybase64

SWITCH: Final = "PENSTOCK_NIFI_QUICK_REPLIES"

_log = logging.getLogger("penstock.processors")
_SAMPLE: Final = pybase64.b64encode(bytes(range(256))).decode()


class _Prompt(socket.SocketIO):
    """The reading half of a socket, acknowledging what arrives at once. Replaces the class of an existing object."""

    prompt: socket.socket

    def readinto(self, buffer: Any) -> int | None:
        self.prompt.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return super().readinto(buffer)


def quicken() -> bool:
    """Make this process's py4j connections prompt; returns whether they are. Doing it again changes nothing."""
    if os.environ.get(SWITCH, "").strip().lower() in ("off", "0", "false", "no"):
        return False
    try:
        from py4j import java_gateway, protocol  # type: ignore[import-not-found]
    except ImportError:
        return False
    if getattr(java_gateway, "penstock_quick", False):
        return True
    if not _as_expected(java_gateway, protocol):
        _log.warning("py4j is not the one that is known here: content over 6 KB takes NiFi 40 ms longer than it must")
        return False
    _prompt_replies(java_gateway.GatewayConnection)
    _prompt_calls(java_gateway.CallbackConnection)
    protocol.decode_bytearray = pybase64.b64decode
    java_gateway.penstock_quick = True
    return True


def _as_expected(java_gateway: Any, protocol: Any) -> bool:
    try:
        return (
            hasattr(socket, "TCP_QUICKACK")
            and [*signature(java_gateway.GatewayConnection.send_command).parameters] == ["self", "command"]
            and [*signature(java_gateway.CallbackConnection._call_proxy).parameters] == ["self", "obj_id", "input"]
            and protocol.decode_bytearray(_SAMPLE) == bytes(range(256))
        )
    except Exception:
        return False


def _prompt_replies(connection: Any) -> None:
    """Replies to calls from Python to Java."""
    send = connection.send_command

    def quicken_one(self: Any) -> None:
        prompt(getattr(self, "stream", None), self.socket)

    def send_command(self: Any, command: str) -> Any:
        quicken_one(self)
        return send(self, command)

    connection.quicken = quicken_one
    connection.send_command = send_command


def _prompt_calls(connection: Any) -> None:
    """Calls from Java to Python; from the second one of a connection on."""
    call = connection._call_proxy

    def call_proxy(self: Any, obj_id: str, input: Any) -> Any:  # noqa: A002  (py4j's name)
        prompt(input, self.socket)
        return call(self, obj_id, input)

    connection._call_proxy = call_proxy


def prompt(stream: Any, sock: Any) -> None:
    """Let ``stream``, made by ``sock.makefile("rb")``, acknowledge at once from now on."""
    raw = getattr(stream, "raw", None)
    if type(raw) is socket.SocketIO:  # not again, and nothing else
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.prompt = sock  # type: ignore[attr-defined]
        raw.__class__ = _Prompt
