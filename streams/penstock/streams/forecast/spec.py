"""What a forecast is told beside what every stream is: where the numbers are in a reading, and what is normal.

This module says what there is; `spec_file` reads it from TOML.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.streams.pointers import Pointer
    from penstock.streams.spec import Stream


@dataclass(frozen=True, slots=True)
class Fields:
    """Where a reading has its parts.

    Attributes:
        station: who measured.
        parameter: what was measured.
        time: when: a number of any unit, or a date and time in ISO 8601.
        value: the measured number.
        columns: of a line of CSV, in order; empty where a record is a JSON object.
    """

    station: Pointer
    parameter: Pointer
    time: Pointer
    value: Pointer
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scale:
    """How values of one parameter become what a model was trained on: ``(value - mean) / scale``.

    Attributes:
        mean: in the unit of the values.
        scale: likewise; above 0. A standard deviation, or, as in the tutorial, the greatest value minus the mean.
    """

    mean: float
    scale: float

    def normalised(self, value: float) -> float:
        """A measured value for the model."""
        return (value - self.mean) / self.scale

    def real(self, normalised: float) -> float:
        """A number of the model in the unit of the values."""
        return normalised * self.scale + self.mean


@dataclass(frozen=True, slots=True)
class Scaling:
    """The scales of all parameters.

    Attributes:
        parameters: by parameter.
        other: of parameters that are not named; None where there must be none.
    """

    parameters: Mapping[str, Scale] = field(default_factory=dict)
    other: Scale | None = None

    def of(self, parameter: str) -> Scale | None:
        """The scale of a parameter; None where it is not known."""
        return self.parameters.get(parameter, self.other)


@dataclass(frozen=True, slots=True)
class Watch:
    """How forecasts are watched.

    Attributes:
        readings: over so many of a series the rolling errors are taken.
        delta: of ADWIN: how likely a false alarm may be, where values come independently of each other.
        series: at most so many series have metrics of their own; those that come later have none.
    """

    readings: int = 100
    delta: float = 0.0001
    series: int = 1000


@dataclass(frozen=True, slots=True)
class Forecast:
    """All of one forecast.

    Attributes:
        stream: source, service, sink, dead letters, batches and broker, as for every stream.
        fields: see `Fields`.
        scaling: see `Scaling`.
        watch: see `Watch`.
    """

    stream: Stream
    fields: Fields
    scaling: Scaling
    watch: Watch = field(default_factory=Watch)

    @property
    def changelog(self) -> str:
        """The compacted topic that holds the last values of each series."""
        return f"{self.stream.kafka.group}-series-changelog"
