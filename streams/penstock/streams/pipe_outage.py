"""What librdkafka gets over by itself, told once, and told when it is over."""

from __future__ import annotations

import logging
from time import monotonic
from typing import Final

from confluent_kafka import KafkaError

_log = logging.getLogger("penstock.streams")

# Of one connection of several; that all are down is an error of its own.
_OF_A_CONNECTION: Final = (KafkaError._TRANSPORT, KafkaError._RESOLVE)


class Outage:
    """Whether the broker is away, or something else not well, and since when."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._since = 0.0
        self._said = ""

    def noticed(self, error: KafkaError) -> None:
        """Something is not well."""
        if error.code() in _OF_A_CONNECTION:
            return
        if error.str() != self._said:
            self._since, self._said = self._since or monotonic(), error.str()
            _log.warning("Kafka at %s: %s; waiting, nothing is lost", self._address, error.str())

    def over(self) -> None:
        """Records come again."""
        if self._since:
            _log.info("Kafka at %s: back after %.1f s", self._address, monotonic() - self._since)
            self._since, self._said = 0.0, ""
