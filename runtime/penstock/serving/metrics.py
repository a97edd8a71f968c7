"""What Prometheus is told."""

from __future__ import annotations


class Metrics:
    """The numbers of one service."""

    def request(self, door: str, method: str, status: str, seconds: float) -> None:
        """Count one request that a door answered."""
        raise NotImplementedError

    def exposition(self) -> bytes:
        """All numbers in Prometheus' text form."""
        raise NotImplementedError
