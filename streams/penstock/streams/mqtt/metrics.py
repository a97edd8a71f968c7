"""What a worker of the MQTT door counts, beside what every stream counts about its calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import Counter, Gauge, Histogram

from penstock.streams.metrics import Metrics

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_MOST_TENANTS: Final = 100  # each is a series; the others are counted together
_OTHERS: Final = "(others)"
_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class MqttMetrics:
    """The counters of one worker, in the registry of its calls.

    Attributes:
        calls: what `Asker` counts.
        duplicates: requests that came again and got no second reply.
        expired: requests whose sender did not want a reply any more when their turn came.
        unheard: replies that nobody listened for.
        reconnects: connections after the first.
        in_hand: requests that are not acknowledged yet.
        seconds: from the arrival of a request until the broker has the reply.
    """

    def __init__(self, service: str) -> None:
        self.calls = Metrics(service)
        registry = self.calls.registry
        self._tenants: set[str] = set()
        self._requests = Counter("penstock_mqtt_requests", "Requests taken.", ("tenant",), registry=registry)
        self._replies = Counter("penstock_mqtt_replies", "Replies the broker has.", ("tenant",), registry=registry)
        self._errors = Counter("penstock_mqtt_errors", "Error replies made.", ("code",), registry=registry)
        self.duplicates = _counter("duplicates", "Requests that came again.", registry)
        self.expired = _counter("expired", "Requests too old to be answered.", registry)
        self.unheard = _counter("unheard", "Replies that nobody listened for.", registry)
        self.refused = _counter("refused", "Replies the broker did not take.", registry)
        self.reconnects = _counter("reconnects", "Connections after the first.", registry)
        self.in_hand = Gauge("penstock_mqtt_in_hand", "Requests not acknowledged yet.", registry=registry)
        self.seconds = Histogram(
            "penstock_mqtt_request_seconds", "From request to reply.", registry=registry, buckets=_SECONDS
        )

    def request(self, tenant: str) -> None:
        """Count a request."""
        self._requests.labels(self._label(tenant)).inc()

    def reply(self, tenant: str, seconds: float) -> None:
        """Count a reply, and how long it took."""
        self._replies.labels(self._label(tenant)).inc()
        self.seconds.observe(seconds)

    def error(self, code: str) -> None:
        """Count an error reply."""
        self._errors.labels(code).inc()

    def totals(self) -> dict[str, int]:
        """Requests, replies, errors, duplicates and calls so far."""
        wanted = {
            "penstock_mqtt_requests_total": "requests",
            "penstock_mqtt_replies_total": "replies",
            "penstock_mqtt_errors_total": "errors",
            "penstock_mqtt_duplicates_total": "duplicates",
            "penstock_stream_call_records_count": "calls",
        }
        totals = dict.fromkeys(wanted.values(), 0)
        for family in self.calls.registry.collect():
            for sample in family.samples:
                if sample.name in wanted:
                    totals[wanted[sample.name]] += int(sample.value)
        return totals

    def _label(self, tenant: str) -> str:
        if tenant not in self._tenants and len(self._tenants) >= _MOST_TENANTS:
            return _OTHERS
        self._tenants.add(tenant)
        return tenant


def _counter(name: str, text: str, registry: CollectorRegistry) -> Counter:
    return Counter(f"penstock_mqtt_{name}", text, registry=registry)
