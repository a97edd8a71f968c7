"""What reads NiFi's replies: prompt, and otherwise exactly what it was."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from penstock.processors.quick_replies import SWITCH, prompt, quicken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import RunningNiFi

Pair = tuple[socket.socket, socket.socket, Any]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """The two ends of a TCP connection, and a stream that reads the second one promptly."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    stream = near.makefile("rb")
    prompt(stream, near)
    with near, far:
        yield far, near, stream


def test_a_reply_in_pieces(pair: Pair) -> None:
    far, _, stream = pair

    def reply() -> None:
        for piece in (b"!y", b"a" * 100_000, b"b", b"\n"):
            far.sendall(piece)
            time.sleep(0.01)

    thread = threading.Thread(target=reply)
    thread.start()
    assert stream.readline() == b"!y" + b"a" * 100_000 + b"b\n"
    thread.join()


def test_replies_in_one_piece_and_a_stream_that_has_begun(pair: Pair) -> None:
    far, near, stream = pair
    far.sendall(b"one\ntwo\nthree")
    assert stream.readline() == b"one\n"
    prompt(stream, near)  # again: what is buffered stays
    assert stream.readline() == b"two\n"
    far.close()
    assert stream.readline() == b"three"
    assert stream.readline() == b""


def test_time_outs_and_closed_sockets_fail_as_ever(pair: Pair) -> None:
    _, near, stream = pair
    near.settimeout(0.02)
    with pytest.raises(TimeoutError):
        stream.readline()
    near.close()
    stream.close()
    with pytest.raises((ValueError, OSError)):
        stream.readline()


def test_nothing_waits_on_either_side(pair: Pair) -> None:
    _, near, stream = pair
    assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert isinstance(stream.raw, socket.SocketIO)


def test_other_streams_are_left_alone() -> None:
    for stream in (io.BytesIO(b"x"), None, io.BufferedReader(io.BytesIO(b"x"))):
        prompt(stream, None)


def test_without_py4j_nothing_happens() -> None:
    assert not quicken()


SCRIPT = """
import sys
from penstock.processors.quick_replies import quicken
from py4j import java_gateway, protocol
before = protocol.decode_bytearray, java_gateway.GatewayConnection.send_command
if "other" in sys.argv:
    java_gateway.GatewayConnection.send_command = lambda self, command, more=None: None
    before = protocol.decode_bytearray, java_gateway.GatewayConnection.send_command
done = quicken(), quicken()
changed = before != (protocol.decode_bytearray, java_gateway.GatewayConnection.send_command)
value = protocol.get_return_value("yjAAEC", None)
print(*done, changed, value == b"\\0\\1\\2", type(value).__name__)
"""


@pytest.mark.nifi
@pytest.mark.xdist_group("nifi")
@pytest.mark.parametrize(
    ("switch", "argument", "printed"),
    [
        ("", "", "True True True True bytes"),
        ("off", "", "False False False True bytes"),
        ("", "other", "False False False True bytes"),  # a py4j that looks different
    ],
)
def test_the_py4j_of_nifi(nifi: RunningNiFi, switch: str, argument: str, printed: str) -> None:
    if nifi.home is None:
        pytest.skip("not a NiFi of ours: its files are not known")
    framework = nifi.home / "python" / "framework"
    environment = {**os.environ, "PYTHONPATH": str(framework), SWITCH: switch}
    command = [sys.executable, "-c", SCRIPT, argument]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.split() == printed.split()
