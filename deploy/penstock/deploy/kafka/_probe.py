"""Asks a broker who it is, in Kafka's own protocol: the proof that it serves, which an open port alone is not."""

from __future__ import annotations

import socket
from struct import Struct, pack, unpack_from

from penstock.deploy.ports import LOOPBACK

_API_VERSIONS, _METADATA = 18, 3
_SIZE = Struct(">i")
_CLIENT = b"penstock"


def cluster_at(port: int, *, timeout: float = 2.0) -> str | None:
    """The id of the cluster whose broker serves on this port; None where nothing does, or not yet.

    A broker counts as serving when it answers ApiVersions without an error and lists itself in the metadata: while
    it starts, the controller keeps it fenced and the list is empty.
    """
    try:
        with socket.create_connection((LOOPBACK, port), timeout) as connection:
            (error,) = unpack_from(">h", _ask(connection, _API_VERSIONS, 0, b""))
            return None if error else _cluster(_ask(connection, _METADATA, 2, pack(">i", 0)))
    except (OSError, ValueError, IndexError):
        return None


def _ask(connection: socket.socket, api: int, version: int, body: bytes) -> bytes:
    request = pack(f">hhih{len(_CLIENT)}s", api, version, api, len(_CLIENT), _CLIENT) + body
    connection.sendall(_SIZE.pack(len(request)) + request)
    (size,) = _SIZE.unpack(_exactly(connection, _SIZE.size))
    answer = _exactly(connection, size)
    if size < 8 or _SIZE.unpack_from(answer) != (api,):  # our correlation id
        raise ValueError("not an answer of a Kafka broker")
    return answer[_SIZE.size :]


def _exactly(connection: socket.socket, size: int) -> bytes:
    if not 0 <= size < 1 << 20:
        raise ValueError("not an answer of a Kafka broker")
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionError("closed")
        parts += part
    return bytes(parts)


def _cluster(metadata: bytes) -> str | None:
    # Metadata v2: brokers [node int32, host string, port int32, rack nullable string], cluster id nullable string, …
    (brokers,) = unpack_from(">i", metadata)
    at = 4
    for _ in range(brokers):
        _, at = _string(metadata, at + 4)
        _, at = _string(metadata, at + 4)
    cluster, _ = _string(metadata, at)
    return cluster if brokers > 0 else None


def _string(data: bytes, at: int) -> tuple[str | None, int]:
    (length,) = unpack_from(">h", data, at)
    end = at + 2 + max(length, 0)
    return (None if length < 0 else data[at + 2 : end].decode()), end
