"""A forecast run on Faust: the worker of a stream, with a table.

The steps of a batch, which docs/forecasting.md goes through one by one; 1 to 5 are those of docs/at-least-once.md:

1. **take** a batch of readings;
2. **read** them, and bring each into its series, on a copy; after a rebalance, first read back the changelog;
3. **ask** the model with all windows that are full;
4. **write** forecasts and dead letters;
5. **wait** until all replicas have them;
6. **remember**: write the series to the changelog, wait for all replicas, and only then change the table;
7. **commit** the offsets.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from penstock.proto import PenstockError
from penstock.streams.delivery import Delivery
from penstock.streams.fates import Fate, fate
from penstock.streams.faust_app import make_app
from penstock.streams.faust_engine import Worker
from penstock.streams.patience import Abandoned, BackOff

from .changelog import Changelog, ensure_changelog
from .forecasting import Forecaster
from .quality import Quality
from .table import SeriesTable
from .windows import shape_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from pathlib import Path

    from penstock.streams.calls import Caller
    from penstock.streams.faust_app import StreamApp
    from penstock.streams.records import Record

    from .spec import Forecast
    from .windows import Shape


class ForecastWorker(Worker):
    """One worker of a forecast; several of one group share the partitions, and with them the series."""

    _forecaster: Forecaster
    _changelog: Changelog
    _table: SeriesTable
    _app: StreamApp
    _generation: int | None = None  # of the group, in which
    _current: set[int]  # these partitions of the table are as the changelog has them

    def __init__(self, forecast: Forecast) -> None:
        super().__init__(forecast.stream)
        self._forecast = forecast
        self._quality = Quality(forecast.stream.name, forecast.watch, self.metrics.registry)

    async def run(self, ready: Callable[[], None]) -> None:
        """Run until `stop` is called."""
        with suppress(Abandoned):  # stopped while it waited for the service
            await super().run(ready)

    async def _open(self, answers: Caller, loop: asyncio.AbstractEventLoop, folder: Path) -> StreamApp:
        await ensure_changelog(self._forecast)
        shape = await self._shape(answers)
        self._table = SeriesTable(self._forecast, self._patience)
        self._forecaster = Forecaster(
            self._forecast,
            answers,
            shape,
            self._table.series,
            patience=self._patience,
            metrics=self.metrics,
            quality=self._quality,
        )
        self._changelog = Changelog(self._forecast, self._patience)
        self._delivery = Delivery(self._stream, self._patience, self._forecaster.refused)
        self._app = make_app(self._stream, self, loop, folder)
        return self._app

    async def _close(self) -> None:
        await self._delivery.close()
        await self._changelog.close()

    async def _shape(self, answers: Caller) -> Shape:
        """How the model takes a window; waits for a service that is away."""
        back_off = BackOff(self._patience, self._stream.service.address or "the model")
        while True:
            try:
                shape = await shape_of(answers.predict)
            except PenstockError as error:
                if fate(error) not in (Fate.WAIT, Fate.DOUBT):
                    raise
                await back_off.wait(error.message)
            else:
                back_off.over()
                return shape

    async def _read_back(self, records: list[Record]) -> None:
        """See to it that the table has the series of these records, as the last worker has left them."""
        generation = self._app.consumer_generation_id
        if generation != self._generation:
            ours = {tp.partition for tp in self._app.consumer.assignment() if tp.topic == self._stream.source.topic}
            self._table.keep_only(ours)
            self._quality.keep_only(set(self._table.series))
            self._generation, self._current = generation, set()
        missing = {record.partition for record in records} - self._current
        await self._table.read_back(missing)
        self._current |= missing

    async def _outcome(self, records: list[Record]) -> None:
        await self._read_back(records)  # part of step 2
        made = await self._forecaster.process(records)  # steps 2 and 3: read and ask
        await self._delivery.deliver(made.messages)  # steps 4 and 5: write and wait for the broker
        await self._changelog.write(made.series)  # step 6: remember
        self._table.series.update(made.series)
        for taken in made.taken:
            self._quality.saw(taken)
