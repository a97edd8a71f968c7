"""The header fields of a gRPC call (PROTOCOL-HTTP2.md of its specification), read once for all calls that share them.

Where fields are wrong, the answer is what grpc's own server gives.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from .grpc_status import Refused, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.http2.field_blocks import Fields

    from .grpc_calls import GrpcCalls
    from .grpc_streams import StreamHandler
    from .rpc import RpcHandler

GRPC: Final = b"application/grpc"
TIMEOUT: Final = b"grpc-timeout"
UNKNOWN_METHOD: Final = Status("UNIMPLEMENTED", "Method not found!")
_TIMEOUT: Final = re.compile(rb"([0-9]{1,18}) *([HMSmun])")
_UNITS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_SHORTEST: Final = 1e-3  # second; less is over before anything was done
_ENCODINGS: Final = (b"identity", b"gzip", b"deflate")


class GrpcHead:
    """What the calls with one header block have in common.

    Attributes:
        calls: who answers.
        follows: the method takes its messages as they come.
        door: name of the protocol, for the metrics.
        method: name of the method.
        handler: what answers a unary call.
        stream_handler: what answers one of the few others.
        metadata: as `Call` has it.
        encoding: of messages that say that they are compressed.
        most: bytes that a body may have.
        failure: what the call fails with, whatever its body is.
        is_broken: not even that can be said, RST_STREAM tells it.
    """

    __slots__ = (
        "calls", "door", "encoding", "failure", "follows", "handler", "is_broken", "metadata", "method",
        "most", "stream_handler",
    )  # fmt: skip

    def __init__(
        self,
        calls: GrpcCalls,
        fields: Fields,
        handlers: Mapping[str, tuple[str, RpcHandler]],
        streams: Mapping[str, StreamHandler],
        most: int,
    ) -> None:
        self.calls = calls
        self.most = most
        values = dict(fields)
        path = values[b":path"].decode("latin-1")
        self.handler: RpcHandler | None
        self.door, self.handler = handlers.get(path, ("", None))
        self.stream_handler = streams.get(path)
        self.follows = self.stream_handler is not None
        self.method = path.rpartition("/")[2]
        self.encoding = values.get(b"grpc-encoding", b"identity")
        self.is_broken = values[b":method"] != b"POST" or values.get(b"te") != b"trailers"
        self.failure: Status | None = None
        self.metadata: tuple[tuple[str, str | bytes], ...] = ()
        try:
            self.metadata = tuple(_metadatum(*field) for field in fields if field[0][:1] != b":")
            self._check()
        except Refused as refused:
            self.failure = refused.status

    def _check(self) -> None:
        if self.encoding not in _ENCODINGS:
            raise Refused("INTERNAL", "Error parsing 'grpc-encoding' metadata")
        if self.handler is None and self.stream_handler is None:
            raise Refused(*UNKNOWN_METHOD)


def _metadatum(name: bytes, value: bytes) -> tuple[str, str | bytes]:
    if not name.endswith(b"-bin"):
        return name.decode("latin-1"), value.decode("latin-1")
    value = value.rstrip(b"=")
    try:
        return name.decode("latin-1"), b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except NotBase64:
        raise Refused("INTERNAL", f"Error parsing '{name.decode()}' metadata: illegal base64 encoding") from None


@lru_cache(1024)
def seconds(timeout: bytes) -> float:
    """What ``grpc-timeout`` says.

    Raises:
        Refused: it is none, or over already.
    """
    match = _TIMEOUT.fullmatch(timeout)
    if match is None:
        raise Refused("INTERNAL", "Error parsing 'grpc-timeout' metadata")
    deadline = int(match[1]) * _UNITS[match[2]]
    if deadline < _SHORTEST:
        raise Refused("DEADLINE_EXCEEDED", "Deadline Exceeded")
    return deadline
