"""The memory of all series of this worker, read back from the changelog wherever partitions have moved.

It is read here and not by Faust's own tables: their recovery may stand still for good where one rebalance follows
another, while the group believes that all is well. Nothing has to be held up for it either: the table is read back
when the first batch of a new generation of the group is there, and from where it was read to before.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from penstock.proto import PayloadError
from penstock.streams.librdkafka import in_our_words, librdkafka_settings
from penstock.streams.patience import BackOff

from .series import Series

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.streams.patience import Patience

    from .spec import Forecast

_log = logging.getLogger("penstock.streams")

_WITHIN: Final = 30.0
_AT_ONCE: Final = 10_000


class SeriesTable:
    """The memory of all series of this worker.

    Attributes:
        series: by name.
    """

    def __init__(self, forecast: Forecast, patience: Patience) -> None:
        self.series: dict[str, Series] = {}
        self._kafka = forecast.stream.kafka
        self._changelog = forecast.changelog
        self._back_off = BackOff(patience, f"the broker at {self._kafka.bootstrap}")
        self._read_to: dict[int, int] = {}

    def keep_only(self, partitions: set[int]) -> None:
        """Forget the series of partitions that others have now."""
        for name in [name for name, series in self.series.items() if series.partition not in partitions]:
            del self.series[name]
        self._read_to = {partition: end for partition, end in self._read_to.items() if partition in partitions}

    async def read_back(self, partitions: Iterable[int]) -> None:
        """Take over what the changelog tells of these partitions up to now.

        Raises:
            Abandoned: the waiting for the broker was ended.
        """
        for partition in partitions:
            while not await self._has_read(partition):
                pass
            self._back_off.over()

    async def _has_read(self, partition: int) -> bool:
        start = self._read_to.get(partition, OFFSET_BEGINNING)
        try:
            found, end = await asyncio.to_thread(self._read, partition, start)
        except KafkaException as error:
            await self._back_off.wait(in_our_words(error, self._kafka).message)
            return False
        for key, value in found:
            self._take(key, value)
        self._read_to[partition] = end
        return True

    def _read(self, partition: int, start: int) -> tuple[list[tuple[bytes | None, bytes | None]], int]:
        """The records from ``start`` to what is the end now, and that end."""
        settings = {"group.id": self._changelog, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
        consumer = Consumer({**librdkafka_settings(self._kafka), **settings})
        try:
            place = TopicPartition(self._changelog, partition, start)
            first, end = consumer.get_watermark_offsets(place, timeout=_WITHIN)
            found: list[tuple[bytes | None, bytes | None]] = []
            at = max(first, start)
            consumer.assign([place])
            while at < end:
                messages = consumer.consume(_AT_ONCE, timeout=1.0)
                for message in messages:
                    if (error := message.error()) is not None:
                        raise KafkaException(error)
                    found.append((message.key(), message.value()))
                (position,) = consumer.position([place])
                at = max(at, position.offset)
            return found, end
        finally:
            consumer.close()

    def _take(self, key: bytes | None, value: bytes | None) -> None:
        """Take over one record where it is newer than what is known.

        A worker that was stopped for so long that its partitions went to another may write once more when it wakes:
        what it writes is older than what the other one has written, though it comes later.
        """
        try:
            series = Series.loaded(value or b"")
            name = (key or b"").decode()
        except (PayloadError, KeyError, TypeError, UnicodeDecodeError):
            _log.warning("%s has a record that is no memory of a series: %r", self._changelog, key)
            return
        known = self.series.get(name)
        if known is None or series.is_newer_than(known):
            self.series[name] = series
