"""A request that was sent, and what came back."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

from .streams import Stream


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


class Exchange(Stream):
    """A request until its answer is there; ``head``, ``chunks`` and ``size`` are the answer's.

    Attributes:
        trailers: what was made of the header block behind the body; None where there was none.
        failed: set where the answer will not come.
        is_over: the answer is complete, or has failed.
        waiter: whoever waits; the caller's own.
    """

    __slots__ = ("failed", "is_over", "trailers", "waiter")

    def __init__(self) -> None:
        super().__init__(0, None, 0, 0)
        self.trailers: Any = None
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
        lead: the start of the body.
        body: the rest of it, apart so that a large one need not be copied.
    """

    fields: tuple[tuple[bytes, bytes], ...]
    block: bytes
    lead: bytes
    body: bytes
