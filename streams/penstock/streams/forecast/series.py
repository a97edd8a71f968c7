"""What is remembered of one series, and what a reading does to it. Nothing here knows Kafka or Faust.

By its offset a reading that is read twice is known, and changes nothing. By its time one that came late is known, and
is refused: the window has moved on. Two readings may have the same time: the clocks of stations tell seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from penstock.proto import PayloadError
from penstock.proto.jsontext import dumps, loads

from .windows import WINDOW

if TYPE_CHECKING:
    from penstock.streams.records import Record

    from .readings import Reading


@dataclass(frozen=True, slots=True)
class Series:
    """The memory of one series, as it is in the table and in its changelog.

    Attributes:
        partition: of the source, where the series lives.
        offset: of the last record that was looked at.
        moment: of the last reading that was taken, as a number.
        values: the last six that were taken, normalised, the newest first; fewer at the beginning.
        forecast: of the next reading, normalised; None where there is none.
    """

    partition: int
    offset: int
    moment: float
    values: tuple[float, ...]
    forecast: float | None = None

    def is_newer_than(self, other: Series) -> bool:
        """Which of two memories of a series is the later one.

        By time first: where a topic was made anew, offsets begin again.
        """
        return (self.moment, self.offset) > (other.moment, other.offset)

    def dumped(self) -> bytes:
        """As JSON; floats come back to the last bit."""
        return dumps(
            {
                "partition": self.partition,
                "offset": self.offset,
                "moment": self.moment,
                "values": self.values,
                "forecast": self.forecast,
            }
        )

    @classmethod
    def loaded(cls, text: bytes) -> Series:
        """The same from JSON.

        Raises:
            PayloadError: it is no JSON. KeyError, TypeError: it is no memory of a series.
        """
        known: dict[str, Any] = loads(text)
        return cls(**{**known, "values": tuple(known["values"])})


def was_read(known: Series | None, record: Record, reading: Reading) -> bool:
    """Whether the record was looked at before.

    A later time at an earlier offset is another life of the topic, which was deleted and made anew.
    """
    return known is not None and record.offset <= known.offset and reading.moment <= known.moment


def advanced(known: Series | None, record: Record, reading: Reading, normalised: float) -> Series:
    """The memory after a reading; its forecast is still to be made.

    Raises:
        PayloadError: ``WRONG_PARTITION``, ``LATE_READING``; it is not taken.
    """
    if known is None:
        return Series(record.partition, record.offset, reading.moment, (normalised,))
    if record.partition != known.partition:
        raise PayloadError(
            f"the series {reading.series} is in partition {known.partition}, and this reading in {record.partition}; "
            "write readings with the station as key, so that a series stays in one partition",
            code="WRONG_PARTITION",
        )
    if reading.moment < known.moment:
        raise PayloadError(
            f"the reading is older than the one before it in {reading.series} ({reading.time} after {known.moment})",
            code="LATE_READING",
        )
    values = (normalised, *known.values[: WINDOW - 1])
    return Series(record.partition, record.offset, reading.moment, values)


def passed_over(known: Series, record: Record) -> Series:
    """The memory after a reading that was not taken."""
    return replace(known, offset=record.offset) if record.partition == known.partition else known
