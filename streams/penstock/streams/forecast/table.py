"""The memory of all series as a Faust table.

Faust gives each worker the partitions of the changelog that go with those of the source, and fills the table from
them before the first reading. Writing the changelog is the worker's own business: Faust would
write a change when the table is changed, with no regard to the results; here it is written once its result is (see
`worker`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import faust

from penstock.proto import PayloadError

from .series import Series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from faust.types import TP

_log = logging.getLogger("penstock.streams")


class SeriesTable(faust.Table):  # type: ignore[type-arg]
    """The memory of all series of this worker.

    Attributes:
        series: by name.
    """

    def __init__(self, app: Any, changelog: str, recovered: Callable[[set[str]], None]) -> None:
        """Add the table to an app.

        Args:
            app: not started yet.
            changelog: name of the topic.
            recovered: called after each rebalance with the names of the series that this worker has.
        """
        super().__init__(
            app,
            name="series",
            key_type=bytes,
            value_type=bytes,
            changelog_topic=app.topic(
                changelog,
                key_type=bytes,
                value_type=bytes,
                key_serializer="raw",
                value_serializer="raw",
                internal=True,
                allow_empty=True,
            ),
        )
        self.series: dict[str, Series] = {}
        self._changelog = changelog
        self._recovered = recovered
        app.tables.add(self)

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Take over what the changelog tells, where it is newer than what is known.

        A worker that was stopped for so long that its partitions went to another may write once more when it wakes:
        what it writes is older than what the other one has written, though it comes later.
        """
        for event in batch:
            self._take(event.message.key, event.message.value)

    def _take(self, key: bytes | None, value: bytes | None) -> None:
        try:
            series = Series.loaded(value or b"")
            name = (key or b"").decode()
        except (PayloadError, KeyError, TypeError, UnicodeDecodeError):
            _log.warning("%s has a record that is no memory of a series: %r", self._changelog, key)
            return
        known = self.series.get(name)
        if known is None or series.is_newer_than(known):
            self.series[name] = series

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Forget the series of partitions that others have now."""
        ours = {tp.partition for tp in active_tps | standby_tps if tp.topic == self._changelog}
        for name in [name for name, series in self.series.items() if series.partition not in ours]:
            del self.series[name]
        self._recovered(set(self.series))
