"""Servers that give back what they get and do nothing else: ``python -m bench.limits.echoes NAME PORT``.

They are as short as they can be, not as right: no limits, no errors, no flow control. What they do in a second of CPU
is what a door in Python could do at most.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_LARGEST_WINDOW = (1 << 31) - 1
_PREFACE_BYTES = 24
# :status 200 and content-type, grpc-status 0: literals that need no table.
_HEAD = b"\x88\x00\x0ccontent-type\x10application/grpc"
_TRAILERS = b"\x00\x0bgrpc-status\x010"


class Http1(asyncio.Protocol):
    """HTTP/1.1 on httptools."""

    def __init__(self) -> None:
        import httptools

        self._parser = httptools.HttpRequestParser(self)
        self._body = b""
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


class Http2(asyncio.Protocol):
    """Unary gRPC: the data of a stream go back when it ends, its header fields are not even read."""

    def __init__(self) -> None:
        self._data = b""
        self._bodies: dict[int, bytes] = {}
        self._has_preface = False
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        window = (4).to_bytes(2) + _LARGEST_WINDOW.to_bytes(4)
        whole = (_LARGEST_WINDOW - 65_535).to_bytes(4)
        transport.write(_frame(4, 0, 0, window) + _frame(8, 0, 0, whole))

    def data_received(self, data: bytes) -> None:
        data = self._data + data if self._data else data
        at, out = 0, []
        if not self._has_preface:
            at, self._has_preface = _PREFACE_BYTES, True
        while len(data) - at >= 9:
            size = int.from_bytes(data[at : at + 3])
            if len(data) - at - 9 < size:
                break
            kind, flags, number = data[at + 3], data[at + 4], int.from_bytes(data[at + 5 : at + 9])
            if kind == 0:
                out.append(self._echo(number, data[at + 9 : at + 9 + size], flags))
            elif kind == 4 and not flags:
                out.append(_frame(4, 1, 0, b""))
            at += 9 + size
        self._data = data[at:]
        if out:
            self._transport.write(b"".join(out))

    def _echo(self, number: int, piece: bytes, flags: int) -> bytes:
        body = self._bodies.pop(number, b"") + piece
        if not flags & 1:
            self._bodies[number] = body
            return b""
        pieces = [_frame(0, 0, number, body[at : at + 16_384]) for at in range(0, len(body), 16_384)]
        return b"".join((_frame(1, 4, number, _HEAD), *pieces, _frame(1, 5, number, _TRAILERS)))


def _frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + number.to_bytes(4) + payload


async def _listen(protocol: type[asyncio.Protocol], port: int) -> None:
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", port)
    await server.serve_forever()


async def _grpcio(port: int) -> None:
    import grpc

    async def echo(body: bytes, _context: Any) -> bytes:
        return body

    class All(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in its stubs only
        def service(self, _details: grpc.HandlerCallDetails) -> Any:
            return grpc.unary_unary_rpc_method_handler(echo)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((All(),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


ECHOES: dict[str, Callable[[int], Awaitable[None]]] = {
    "http1": lambda port: _listen(Http1, port),
    "http2": lambda port: _listen(Http2, port),
    "grpcio": _grpcio,
}


async def _serve(name: str, port: int) -> None:
    await ECHOES[name](port)


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(sys.argv[1], int(sys.argv[2])))
