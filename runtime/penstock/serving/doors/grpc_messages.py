"""Messages in the body of a call: a flag, four bytes of length, the message."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from .grpc_status import Refused

if TYPE_CHECKING:
    from penstock.http2.streams import Stream

PREFIX: Final = 5
_PREFIX: Final = Struct(">BL")
COMPRESSED: Final = 1  # the one flag


def only_message(stream: Stream, most: int) -> tuple[bytes, bool]:
    """The message of a unary call, copied once; what comes behind it is passed over, as grpc's own server does.

    Returns:
        The message, and whether it is compressed.

    Raises:
        Refused: there is none, or it has more than ``most`` bytes.
    """
    chunks = stream.chunks
    if len(chunks) == 1 and PREFIX <= stream.size <= most:
        flag, size = _PREFIX.unpack_from(chunks[0])
        if size + PREFIX == stream.size and not flag:
            return bytes(chunks[0][PREFIX:]), False
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
    elif len(first) == PREFIX and len(chunks[1]) == size:  # as `message_size` has arranged
        message = bytes(chunks[1])
    elif stream.size == end:
        message = b"".join((memoryview(first)[PREFIX:], *chunks[1:]))
    else:
        message = b"".join(chunks)[PREFIX:end]
    return message, bool(first[0] & COMPRESSED)


def message_size(stream: Stream) -> int:
    """What the start of a long body says of its message, which then is put together by itself."""
    stream.lead = PREFIX
    first = stream.chunks[0]
    return int.from_bytes((first if len(first) >= PREFIX else b"".join(stream.chunks))[1:PREFIX])


def check_size(size: int, most: int) -> None:
    """Refused where a message is larger than allowed."""
    if size > most:
        raise Refused("RESOURCE_EXHAUSTED", too_large(size, most))


def too_large(size: int, most: int) -> str:
    """What grpc's own server says of a message of ``size`` bytes."""
    return f"SERVER: Received message larger than max ({size} vs. {most})"


def prefix(size: int) -> bytes:
    """What stands before a message of ``size`` bytes."""
    return b"\0" + size.to_bytes(4)
