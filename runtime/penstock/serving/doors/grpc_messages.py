"""Messages in the body of a call: a flag, four bytes of length, the message."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from .grpc_status import Refused

if TYPE_CHECKING:
    from penstock.http2.streams import Stream

PREFIX: Final = 5
COMPRESSED: Final = 1  # the one flag
# zlib's window sizes: with a gzip header, with a zlib header.
_WINDOWS: Final = {b"gzip": 31, b"deflate": 15}


def only_message(stream: Stream, encoding: bytes, most: int) -> bytes:
    """The message of a unary call, copied once; what comes behind it is passed over, as grpc's own server does.

    Raises:
        Refused: there is none, or it has more than ``most`` bytes.
    """
    chunks = stream.chunks
    if not chunks or len(chunks[0]) < PREFIX:
        chunks = [b"".join(chunks)]
    first = chunks[0]
    if len(first) < PREFIX:
        raise Refused("INTERNAL", "the body has no message")
    size = int.from_bytes(first[1:PREFIX])
    check_size(size, most)
    end = size + PREFIX
    if stream.size < end:
        raise Refused("INTERNAL", "the body ends within the message")
    if len(chunks) == 1:
        message = bytes(first[PREFIX:end])
    elif stream.size == end:
        message = b"".join((memoryview(first)[PREFIX:], *chunks[1:]))
    else:
        message = b"".join(chunks)[PREFIX:end]
    return inflated(message, encoding, most) if first[0] & COMPRESSED else message


def check_size(size: int, most: int) -> None:
    """Refused where a message is larger than allowed."""
    if size > most:
        raise Refused("RESOURCE_EXHAUSTED", too_large(size, most))


def too_large(size: int, most: int) -> str:
    """What grpc's own server says of a message of ``size`` bytes."""
    return f"SERVER: Received message larger than max ({size} vs. {most})"


def inflated(message: bytes, encoding: bytes, most: int) -> bytes:
    """The message as it was before it was compressed.

    Raises:
        Refused: it was not; or it gets larger than ``most`` bytes, which is known before it does.
    """
    if encoding not in _WINDOWS:
        raise Refused("INTERNAL", "Compression bit set but no encoding configured")
    inflater = zlib.decompressobj(_WINDOWS[encoding])
    try:
        plain = inflater.decompress(message, most + 1)
    except zlib.error:
        raise Refused("INTERNAL", "Decompression failed due to zlib error") from None
    if len(plain) > most:
        raise Refused("RESOURCE_EXHAUSTED", "Decompressed message larger than max")
    if not inflater.eof:
        raise Refused("INTERNAL", "Decompression failed due to zlib error")
    return plain


def prefix(size: int) -> bytes:
    """What stands before a message of ``size`` bytes."""
    return b"\0" + size.to_bytes(4)
