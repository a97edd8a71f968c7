"""What a gRPC door is given and what it gives back: bytes, whatever server they came through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from penstock.proto import PayloadError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message

_M = TypeVar("_M", bound="Message")


class Call(NamedTuple):
    """One call.

    Attributes:
        body: the request's protobuf bytes.
        metadata: its headers, names in lower case.
        deadline: seconds that the caller still waits; None where it did not say.
    """

    body: bytes
    metadata: Iterable[tuple[str, str | bytes]]
    deadline: float | None


RpcHandler = Callable[[Call], Awaitable[bytes]]


class RpcDoor(NamedTuple):
    """One protocol over gRPC: its name for the metrics, and its methods by full path."""

    name: str
    methods: dict[str, RpcHandler]


def parsed(kind: type[_M], body: bytes) -> _M:
    """The small messages, through protobuf itself; PayloadError where the bytes are none."""
    from google.protobuf.message import DecodeError

    try:
        return kind.FromString(body)
    except DecodeError:
        raise PayloadError(f"the bytes are not a {kind.DESCRIPTOR.name}", code="BAD_WIRE") from None
