"""One call as the transports see it: where to, the encoded request, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from time import monotonic


class Route(Enum):
    """What a service can be asked."""

    PREDICT = "predict"
    FEEDBACK = "feedback"
    METADATA = "metadata"
    READY = "ready"
    MODELS = "models"

    # Enum's own hash goes through Python; this one is found by identity.
    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class Call:
    """A call with all of its attempts.

    Attributes:
        route: what is asked.
        body: the encoded request.
        deadline: seconds for all attempts and the waits between them.
        ends: when they are over, on the clock of `time.monotonic`.
        headers: of the caller, names in lower case; gRPC metadata or HTTP headers.
    """

    route: Route
    body: bytes
    deadline: float
    ends: float
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def left(self) -> float:
        """Seconds that are left; never 0 or less, which a socket would take as *do not wait* or *wait forever*."""
        return max(self.ends - monotonic(), 0.001)

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return monotonic() >= self.ends
