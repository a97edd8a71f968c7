"""A gRPC server by hand: what it says on each connection is a script of frames."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from penstock.http2 import frames
from penstock.http2.field_blocks import literal
from penstock.proto import Kind, Message, Payload, write_message

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

MESSAGE = write_message(Message(Payload(Kind.STR_DATA, "hi")))


def block(*fields: tuple[str, str]) -> bytes:
    return b"".join(literal(name.encode(), value.encode()) for name, value in fields)


def head(number: int, *fields: tuple[str, str], ends: bool = False) -> bytes:
    flags = frames.END_HEADERS | (frames.END_STREAM if ends else 0)
    return frames.frame(frames.HEADERS, flags, number, block(*fields))


OK = ((":status", "200"), ("content-type", "application/grpc"))


def answer(number: int, body: bytes = b"\0" + len(MESSAGE).to_bytes(4) + MESSAGE) -> bytes:
    """A success."""
    data = frames.frame(frames.DATA, 0, number, body)
    return head(number, *OK) + data + head(number, ("grpc-status", "0"), ends=True)


class Conversation:
    """One connection, from the server's side."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._came = b""

    def say(self, *pieces: bytes) -> None:
        self.connection.sendall(b"".join(pieces))

    def greet(self) -> None:
        self._read(len(frames.PREFACE))
        self.say(frames.settings({}))

    def next(self, wanted: int = frames.HEADERS) -> int:
        """The stream of the next frame of that kind; everything before it is passed over."""
        while True:
            high, low, kind, _, number = frames.HEAD.unpack(self._read(frames.HEAD_BYTES))
            self._read(high << 8 | low)
            if kind == wanted:
                return int(number)

    def _read(self, size: int) -> bytes:
        while len(self._came) < size:
            data = self.connection.recv(65_536)
            if not data:
                raise ConnectionError
            self._came += data
        taken, self._came = self._came[:size], self._came[size:]
        return taken


class ByHand:
    """Follows one script for each connection, the last one for all that come later."""

    def __init__(self, *scripts: Callable[[Conversation], None], tls: ssl.SSLContext | None = None) -> None:
        self._scripts: Sequence[Any] = scripts
        self._tls = tls
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        self.port = self._listener.getsockname()[1]
        self.address = f"grpc{'s' if tls else ''}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                script = self._scripts[min(self.connections, len(self._scripts) - 1)]
                self.connections += 1
                threading.Thread(target=self._follow, args=(connection, script), daemon=True).start()

    def _follow(self, connection: socket.socket, script: Callable[[Conversation], None]) -> None:
        with suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._open.append(connection)
            with connection:
                script(Conversation(connection))

    def __enter__(self) -> ByHand:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


def answers(conversation: Conversation) -> None:
    """Answer every request."""
    conversation.greet()
    while True:
        conversation.say(answer(conversation.next()))


def says(*pieces: bytes) -> Callable[[Conversation], None]:
    """Greet, wait for a request on stream 1, say this, and wait until the client hangs up."""

    def script(conversation: Conversation) -> None:
        conversation.greet()
        conversation.next()
        conversation.say(*pieces)
        conversation.next(-1)

    return script
