"""What happens to a batch of readings: forecasts and dead letters, and what is to be remembered of each series.

A window holds values alone, never forecasts. So the windows of a whole batch are known before the model is asked, also
where a series is there several times, and share a call.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import isfinite
from typing import TYPE_CHECKING

from penstock.proto import Payload, PayloadError, ServiceError
from penstock.proto.jsontext import dumps
from penstock.streams.asking import Asker
from penstock.streams.dead_letters import dead_letter
from penstock.streams.headers import puids_of, result_headers, told_headers, traces_of
from penstock.streams.records import Outgoing
from penstock.streams.stacking import Group, divided

from .readings import reading_of
from .series import advanced, passed_over, was_read
from .windows import WINDOW, forecasts, payload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.proto import PenstockError
    from penstock.proto.trace_context import Trace
    from penstock.streams.calls import Caller
    from penstock.streams.metrics import Metrics
    from penstock.streams.patience import Patience
    from penstock.streams.records import Record

    from .quality import Quality
    from .readings import Reading
    from .series import Series
    from .spec import Forecast, Scale
    from .windows import Shape


@dataclass(slots=True)
class Taken:
    """A reading that has become part of its series, and what came of it.

    Attributes:
        place: of its record in the batch.
        record: as it was read.
        reading: what it holds.
        scale: of its parameter.
        normalised: its value for the model.
        window: the last values of the series with this one, the newest first; fewer than six at the beginning.
        expected: what was forecast for it before this batch, normalised; None where nothing was.
        before: the reading of the series before it in the same batch, whose forecast is what was expected.
        forecast: of the next reading, normalised.
        group: the call that it was part of; None where the series is too short for one.
        error: why there is no forecast.
    """

    place: int
    record: Record
    reading: Reading
    scale: Scale
    normalised: float
    window: tuple[float, ...]
    expected: float | None
    before: Taken | None
    forecast: float | None = None
    group: Group | None = None
    error: PenstockError | None = None

    @property
    def foreseen(self) -> float | None:
        """What was forecast for it, normalised."""
        return self.expected if self.before is None else self.before.forecast


@dataclass(slots=True)
class Made:
    """What came of a batch.

    Attributes:
        messages: to be written, in the order of the records.
        series: those that have changed, as they are to be remembered once the messages are written.
        taken: the readings, in order.
    """

    messages: list[Outgoing]
    series: dict[str, Series]
    taken: list[Taken]


@dataclass(slots=True)
class _Batch:
    """A batch while it is worked on.

    Attributes:
        known: the series as they were before it.
        series: those that it has changed.
        last: the last reading of each series that it has.
        work: the outcome of each record that has one, in order.
    """

    known: Mapping[str, Series]
    series: dict[str, Series] = field(default_factory=dict)
    last: dict[str, Taken] = field(default_factory=dict)
    work: list[Taken | Outgoing] = field(default_factory=list)

    @property
    def taken(self) -> list[Taken]:
        """The readings that have become part of their series."""
        return [each for each in self.work if isinstance(each, Taken)]


class Forecaster:
    """Readings in; forecasts, dead letters and the memory of the series out."""

    def __init__(
        self,
        forecast: Forecast,
        caller: Caller,
        shape: Shape,
        series: Mapping[str, Series],
        *,
        patience: Patience,
        metrics: Metrics,
        quality: Quality,
    ) -> None:
        """Nothing is changed here but the counters.

        Args:
            forecast: its spec.
            caller: who answers.
            shape: of one window, as it takes it.
            series: the table; it is read only.
            patience: ends waiting.
            metrics: of the stream.
            quality: of the forecasts.
        """
        self._forecast = forecast
        self._stream = forecast.stream
        self._shape = shape
        self._series = series
        self._metrics = metrics
        self._quality = quality
        self._asker = Asker(forecast.stream, caller, patience, metrics)
        self._model = self._version = ""

    async def process(self, records: Sequence[Record]) -> Made:
        """What is to be written and remembered for ``records``.

        Raises:
            Abandoned: the waiting for the service was ended; the records are to be read again.
            PenstockError: the forecast cannot go on; likewise.
        """
        batch = _Batch(self._series)
        for place, record in enumerate(records):
            outcome = self._read(place, record, batch)
            if outcome is not None:
                batch.work.append(outcome)
        puids, traces = puids_of(records), traces_of(records)
        await self._ask(batch.taken, puids, traces)
        for name, taken in batch.last.items():
            batch.series[name] = replace(batch.series[name], forecast=taken.forecast)
        messages = [
            each if isinstance(each, Outgoing) else self._written(each, puids[each.place], traces.get(each.place))
            for each in batch.work
        ]
        return Made(messages, batch.series, batch.taken)

    def refused(self, message: Outgoing, error: PenstockError) -> Outgoing:
        """The dead letter of a result that the broker does not take."""
        return self._dead(message.source, error, attempts=1)

    def _read(self, place: int, record: Record, batch: _Batch) -> Taken | Outgoing | None:
        try:
            reading, scale, normalised = self._reading(record)
        except PayloadError as error:
            return self._dead(record, error, attempts=0)
        name = reading.series
        known = batch.series.get(name) or batch.known.get(name)
        if was_read(known, record, reading):
            self._quality.repeated.inc()
            return None
        try:
            now = advanced(known, record, reading, normalised)
        except PayloadError as error:
            if known is not None:
                batch.series[name] = passed_over(known, record)
            return self._dead(record, error, attempts=0)
        before = batch.last.get(name)
        expected = known.forecast if known is not None else None
        taken = Taken(place, record, reading, scale, normalised, now.values, expected, before)
        batch.series[name], batch.last[name] = now, taken
        return taken

    def _reading(self, record: Record) -> tuple[Reading, Scale, float]:
        if record.value is None:
            raise PayloadError("the record has no value", code="NULL_VALUE")
        reading = reading_of(self._forecast.fields, record.value)
        scale = self._forecast.scaling.of(reading.parameter)
        if scale is None:
            raise PayloadError(
                f"the spec has no scaling for parameter {reading.parameter}, and none for all", code="UNKNOWN_PARAMETER"
            )
        normalised = scale.normalised(reading.value)
        if not isfinite(normalised):
            raise PayloadError(f"the value {reading.value:g} is too large for its scale", code="BAD_READING")
        return reading, scale, normalised

    async def _ask(self, taken: Sequence[Taken], puids: Sequence[bytes], traces: Mapping[int, Trace]) -> None:
        ready = {each.place: each for each in taken if len(each.window) == WINDOW}
        if not ready:
            return
        windows = payload([each.window for each in ready.values()], self._shape)
        everything = Group(list(ready), windows, [1] * len(ready))
        for group in await self._asker.ask(divided(everything, self._stream.batch.rows), puids, traces):
            for row, place in enumerate(group.members):
                _settle(ready[place], group, row)
            if group.answer is not None:
                self._model, self._version = group.answer.model, group.answer.version

    def _written(self, taken: Taken, puid: bytes, trace: Trace | None) -> Outgoing:
        group = taken.group
        if taken.error is not None:
            return self._dead(taken.record, taken.error, attempts=group.attempts if group else 0)
        self._metrics.results.inc()
        told, parent = told_headers(self._stream.name), ""
        if group is not None and group.answer is not None:
            call = group.puid if len(group.members) > 1 else ""
            answer = group.answer
            told = told_headers(self._stream.name, answer.model, answer.version, group.seconds, call)
            parent = trace.parent(group.span) if trace else ""
        headers = result_headers(taken.record, puid, told, parent)
        key = taken.reading.series.encode()
        return Outgoing(self._stream.sink.topic, key, _content(taken), headers, taken.record)

    def _dead(self, record: Record, error: PenstockError, *, attempts: int) -> Outgoing:
        self._metrics.dead(error.code)
        return dead_letter(self._stream, record, error, attempts=attempts, model=self._model, version=self._version)


def _settle(taken: Taken, group: Group, row: int) -> None:
    taken.group, taken.error = group, group.error
    if group.answer is None:
        return
    answer = group.answer.payload
    if answer.kind.is_array and answer.array.ndim:
        answer = Payload(answer.kind, answer.array[row : row + 1])
    try:
        (taken.forecast,) = forecasts(answer, 1)
    except ServiceError as error:
        taken.error = error


def _content(taken: Taken) -> bytes:
    reading, scale, answer = taken.reading, taken.scale, taken.group and taken.group.answer
    expected = None if taken.foreseen is None else scale.real(taken.foreseen)
    return dumps(
        {
            "station_id": reading.station,
            "parameter_id": reading.parameter,
            "reading_time": reading.time,
            "value": reading.value,
            "expected": expected,
            "error": None if expected is None else reading.value - expected,
            "forecast": None if taken.forecast is None else scale.real(taken.forecast),
            "forecast_normalised": taken.forecast,
            "model": answer.model if answer else None,
            "version": answer.version if answer else None,
        }
    )
