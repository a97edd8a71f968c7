"""Real Apache Kafka on this machine: one node, reachable from this machine only, without Docker."""

from __future__ import annotations

from penstock.deploy.kafka._borrowed import broker
from penstock.deploy.kafka._broker import DEFAULT_PORT, Broker, BrokerStatus

__all__ = ["DEFAULT_PORT", "Broker", "BrokerStatus", "broker"]
