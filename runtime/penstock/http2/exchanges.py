"""A request that was sent, and what came back."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple


class Failure(Enum):
    """Why there is no answer."""

    LOST = "the connection ended"
    CLOSING = "the peer takes no more requests on this connection"
    FOREIGN = "the peer does not speak HTTP/2"
    GIVEN_UP = "the caller waits no more"
    RESET = "the peer gave the stream up"
    TOO_LARGE = "the answer is larger than allowed"
    MALFORMED = "the answer is none"


class Failed(NamedTuple):
    """What is known of a failure.

    Attributes:
        reason: what has happened.
        text: for a person; may be empty.
        is_unseen: the peer has surely not acted on the request (RFC 9113, 8.7), so it may be sent again.
    """

    reason: Failure
    text: str = ""
    is_unseen: bool = False


class Exchange:
    """What a connection keeps of a request until its answer is there.

    Attributes:
        number: the stream's identifier; 0 as long as the request waits for its turn.
        window: bytes that the peer still takes.
        unsent: what of the body waits for the window.
        head: what was made of the first header block of the answer.
        trailers: what was made of the last; the same as ``head`` where there was only one.
        chunks: the body of the answer.
        size: bytes in ``chunks``.
        failed: set where the answer will not come.
        is_over: the answer is complete, or has failed.
        waiter: whoever waits; the caller's own.
    """

    __slots__ = (
        "chunks",
        "failed",
        "head",
        "is_over",
        "number",
        "size",
        "trailers",
        "unsent",
        "waiter",
        "window",
    )

    def __init__(self) -> None:
        self.number = 0
        self.window = 0
        self.unsent: list[memoryview] = []
        self.head: Any = None
        self.trailers: Any = None
        self.chunks: list[bytes] = []
        self.size = 0
        self.failed: Failed | None = None
        self.is_over = False
        self.waiter: Any = None

    @property
    def is_refused(self) -> bool:
        """The peer takes no more requests on this connection, and has not seen this one: another will do."""
        failed = self.failed
        return failed is not None and failed.is_unseen and failed.reason is Failure.CLOSING


class Request(NamedTuple):
    """What is sent.

    Attributes:
        fields: those that come again with each request.
        block: a header block of literals, behind these.
        start: the start of the body.
        body: the rest of it, apart so that a large one need not be copied.
    """

    fields: tuple[tuple[bytes, bytes], ...]
    block: bytes
    start: bytes
    body: bytes
