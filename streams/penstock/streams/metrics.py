"""What a stream counts, for Prometheus and for its own log line."""

from __future__ import annotations

from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from penstock.proto import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)
_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """The counters of one stream, in a registry of their own."""

    def __init__(self, stream: str) -> None:
        self.registry = CollectorRegistry()
        self._stream = stream
        self.records = self._counter("records", "Records taken from the source.")
        self.results = self._counter("results", "Results made.")
        self.forwarded = self._counter("nulls_forwarded", "Tombstones passed on.")
        self.skipped = self._counter("nulls_skipped", "Tombstones passed over.")
        self.acknowledged = self._counter("acknowledged", "Records whose outcome the broker has.")
        self.waits = self._counter("waits", "Waits for a service that was away.")
        self.abandoned = self._counter("abandoned", "Records given back in a rebalance or stop, to be read again.")
        self.transactions = self._counter("transactions", "Transactions committed.")
        self.aborted = self._counter("aborted", "Transactions aborted.")
        self.rejoined = self._counter("rejoined", "Times the worker has left the group and joined it anew.")
        self.batch_seconds = self._histogram("batch_seconds", "From taking a batch to its acknowledgement.", _SECONDS)
        self._call_records = self._histogram("call_records", "Records in a call.", _SIZES)
        self._call_seconds = self._histogram("call_seconds", "Time of a call.", _SECONDS)
        self._dead = Counter(
            "penstock_stream_dead_letters", "Records set aside.", ("stream", "reason"), registry=self.registry
        )
        self._lag = Gauge(
            "penstock_stream_lag", "Records behind the end.", ("stream", "partition"), registry=self.registry
        )

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"penstock_stream_{name}", text, ("stream",), registry=self.registry).labels(self._stream)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        histogram = Histogram(f"penstock_stream_{name}", text, ("stream",), registry=self.registry, buckets=buckets)
        return histogram.labels(self._stream)

    def dead(self, reason: str) -> None:
        """Count a dead letter."""
        self._dead.labels(self._stream, reason).inc()

    def lag(self, partition: int, records: int) -> None:
        """Set how far behind the end of a partition the stream is."""
        self._lag.labels(self._stream, str(partition)).set(records)

    def no_lag(self) -> None:
        """Forget the lags: the partitions belong to somebody else now."""
        self._lag.clear()

    @contextmanager
    def call(self, records: int) -> Iterator[None]:
        """Count and time one call."""
        started = perf_counter()
        try:
            yield
        finally:
            self._call_records.observe(records)
            self._call_seconds.observe(perf_counter() - started)

    def serve(self, port: int) -> int:
        """Show the metrics on 127.0.0.1; the port, where 0 lets one be chosen.

        Raises:
            SetupError: the port is taken.
        """
        try:
            server, _ = start_http_server(port, addr="127.0.0.1", registry=self.registry)
        except OSError as error:
            raise SetupError(f"metrics port {port}: {error.strerror}; choose another", code="PORT") from None
        return int(server.server_port)

    def totals(self) -> dict[str, int]:
        """Records, results, dead letters and calls so far, as plain numbers."""
        wanted = {
            "penstock_stream_records_total": "records",
            "penstock_stream_results_total": "results",
            "penstock_stream_dead_letters_total": "dead_letters",
            "penstock_stream_acknowledged_total": "acknowledged",
            "penstock_stream_call_records_count": "calls",
        }
        totals = dict.fromkeys(wanted.values(), 0)
        for family in self.registry.collect():
            for sample in family.samples:
                if sample.name in wanted:
                    totals[wanted[sample.name]] += int(sample.value)
        return totals
