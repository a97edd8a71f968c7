"""How a gRPC call ends, in its trailers."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import quote

from penstock.http2.field_blocks import literal
from penstock.proto.grpc_codes import GRPC_CODES

_CODES: Final = {name: code for code, name in enumerate(GRPC_CODES)}
# What stands as it is in grpc-message: printable ASCII but the percent sign (PROTOCOL-HTTP2.md of the specification).
_AS_IT_IS: Final = " !\"#$&'()*+,/:;<=>?@[\\]^`{|}"

OK: Final = literal(b"grpc-status", b"0")


class Status(NamedTuple):
    """What a call failed with: the name of grpc's code, and a text."""

    name: str
    text: str

    def block(self) -> bytes:
        """As fields of a header block."""
        return literal(b"grpc-status", b"%d" % _CODES[self.name]) + literal(
            b"grpc-message", quote(self.text, safe=_AS_IT_IS).encode()
        )


class Refused(Exception):  # noqa: N818  (not an error of ours: it is told to the peer)
    """A call that its bytes or its header fields make impossible; the texts are those of grpc's own server."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.status = Status(name, text)
