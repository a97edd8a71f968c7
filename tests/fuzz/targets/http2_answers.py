"""The client's side of HTTP/2: any bytes from a server end each exchange once, and hold no more than was asked for.

The first byte says what the others are: bytes as they come after the server's greeting (even), or frames in short:
kind, flags, stream, length, payload (odd).
"""

from __future__ import annotations

from tests.fuzz.frame_pieces import pieces

from penstock.client._address import parse_address
from penstock.client._call import Call, Route
from penstock.client._failures import AttemptFailed
from penstock.client._rpc import PREFIX, reply, told
from penstock.http2 import frames
from penstock.http2.client import ClientConnection
from penstock.http2.exchanges import Request

_LARGEST = 2000
_ADDRESS = parse_address("grpc://127.0.0.1:5000")
_CALL = Call(Route.PREDICT, b"", 1.0, 1e12)
_FIELDS = ((b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/x"), (b"te", b"trailers"))


def run(data: bytes) -> None:
    connection = ClientConnection(told, _LARGEST)
    connection.feed(frames.settings({frames.Setting.MAX_CONCURRENT_STREAMS: 4}))
    asked = [connection.ask(Request(_FIELDS, b"", b"\0" + (900).to_bytes(4), b"b" * 900)) for _ in range(6)]
    sent = _taken(connection)
    for piece in pieces(data):
        connection.feed(piece)
        while connection.more:
            connection.feed(b"")
        sent += _taken(connection)
        assert all(exchange.size <= _LARGEST + len(piece) for exchange in asked if not exchange.failed)
    assert sent < 20_000 + 100 * len(data)
    connection.lose("over")
    assert connection.is_idle
    assert connection.sender.waiting == {}
    assert sorted(map(id, connection.over)) == sorted(map(id, asked)), "an exchange that did not end once"
    for exchange in asked:
        try:
            message = reply(exchange, _CALL, _ADDRESS)
        except AttemptFailed as failed:
            assert failed.error.message
        else:
            assert len(message) == exchange.size - PREFIX


def _taken(connection: ClientConnection) -> int:
    return sum(map(len, connection.to_send()))
