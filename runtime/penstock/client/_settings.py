"""What a client can be told beside the address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from penstock.proto.errors import SetupError

DEFAULT_DEADLINE: Final = 3.0  # what the platform grants a model (the service's own default)


@dataclass(frozen=True, slots=True)
class Retries:
    """How often, and how far apart, a call is tried. The call's deadline bounds all of it.

    The wait is drawn evenly between 0 and a bound that starts at ``first_wait``, doubles with each attempt and ends
    at ``longest_wait``: clients that failed together do not come back together. Where the service says how long to
    wait, that is the least.

    Attributes:
        attempts: calls in all; 1 never retries. The default is more than fits in the default deadline.
        first_wait: seconds.
        longest_wait: seconds.
    """

    attempts: int = 20
    first_wait: float = 0.05
    longest_wait: float = 1.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first_wait <= 0 or self.longest_wait < self.first_wait:
            raise SetupError(f"{self}: at least one attempt, and 0 < first_wait ≤ longest_wait")


@dataclass(frozen=True, slots=True)
class Tls:
    """How the certificate of a ``grpcs://`` or ``https://`` service is checked.

    Attributes:
        ca_file: PEM file of the authorities to trust instead of the well-known ones.
        verify: False accepts any certificate. Only for trying things out: whoever is in between can then read
            the calls and the token.
    """

    ca_file: str | None = None
    verify: bool = True
