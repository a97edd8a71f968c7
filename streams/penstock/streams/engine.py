"""The engines behind a stream's spec; they look the same from here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from .metrics import Metrics
    from .spec import Stream


class Worker(Protocol):
    """One worker of a stream; several of one group share the partitions.

    Attributes:
        metrics: what it counts.
    """

    metrics: Metrics

    async def run(self, ready: Callable[[], None]) -> None:
        """Run until `stop` is called.

        Args:
            ready: called once partitions are assigned.

        Raises:
            SetupError, ModelLoadError, Unavailable: it cannot start; within ``start_timeout`` for a missing broker.
            PenstockError: it cannot go on. Nothing is lost: what has no outcome yet will be read again.
        """
        ...

    def stop(self) -> None:
        """Finish or give back what is in hand, commit, leave the group, and let `run` return."""
        ...


def worker(stream: Stream) -> Worker:
    """A worker on the engine that the spec names."""
    if stream.engine == "faust":  # each engine's client is loaded only where it is used
        from .faust_engine import Worker as FaustWorker

        return FaustWorker(stream)
    from .pipe_engine import Worker as PipeWorker

    return PipeWorker(stream)
