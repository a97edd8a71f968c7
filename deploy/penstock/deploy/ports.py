"""TCP ports of this machine's loopback address."""

from __future__ import annotations

import random
import socket

from penstock.proto.errors import SetupError

LOOPBACK = "127.0.0.1"
# Below what Linux (32768) and macOS (49152) hand out to outgoing connections: none of those can take the port
# between now and the start of the one who is to listen on it.
_FREE = range(20000, 32000)


def is_free(port: int) -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: old connections do not count
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port that nobody listens on."""
    for _ in range(100):
        port = random.choice(_FREE)  # noqa: S311
        if is_free(port):
            return port
    raise SetupError(f"no free port found on {LOOPBACK} between {_FREE.start} and {_FREE.stop}", code="PORT_TAKEN")


def usable_port(port: int | None, default: int) -> int:
    """The port that somebody asked for: None is ``default``, 0 a free one.

    Raises:
        SetupError: another program listens on it.
    """
    if port == 0:
        return free_port()
    wanted = default if port is None else port
    if not is_free(wanted):
        raise SetupError(
            f"port {wanted} on {LOOPBACK} is taken by another program. Stop that, or choose a port (0: any free one).",
            code="PORT_TAKEN",
        )
    return wanted
