"""What happens to a batch of records, between reading and writing: the same for every engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from penstock.proto import PayloadError, PenstockError

from .asking import Asker
from .dead_letters import dead_letter
from .headers import headers_of_results, puids_of, result_headers, told_headers, traces_of
from .reading import read_batch
from .records import Outgoing
from .results import contents

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.proto.trace_context import Trace

    from .calls import Caller
    from .metrics import Metrics
    from .patience import Patience
    from .reading import Readings
    from .records import Record
    from .spec import Stream
    from .stacking import Group

_new: Final = tuple.__new__


@dataclass(slots=True)
class _Batch:
    """One batch on its way.

    Attributes:
        records: as they were read.
        readings: what they hold.
        puids: of all of them.
        traces: that they belong to, by place.
        outcomes: what is to be written for them, by place; None where that is nothing.
    """

    records: Sequence[Record]
    readings: Readings
    puids: Sequence[bytes]
    traces: Mapping[int, Trace]
    outcomes: list[Outgoing | None] = field(init=False)

    def __post_init__(self) -> None:
        self.outcomes = [None] * len(self.records)


class Processor:
    """Records in, results and dead letters out, in the order of the records.

    What can be done for a whole batch or call, is; what is left for each record is its JSON, its puid and its headers.
    """

    def __init__(self, stream: Stream, caller: Caller, patience: Patience, metrics: Metrics) -> None:
        self._stream = stream
        self._metrics = metrics
        self._asker = Asker(stream, caller, patience, metrics)
        self._model = self._version = ""

    async def process(self, records: Sequence[Record]) -> list[Outgoing]:
        """What is to be written for ``records``.

        Raises:
            Abandoned: the waiting for the service was ended; the records are to be read again.
            PenstockError: the stream cannot go on; likewise.
        """
        stream = self._stream
        values = [record.value for record in records]
        keep = stream.sink.field is not None
        readings = read_batch(stream.source, values, keep_documents=keep, most_rows=stream.batch.rows)
        batch = _Batch(records, readings, puids_of(records), traces_of(records))
        if None in values:
            self._pass_nulls(batch)
        for place, error in readings.errors.items():
            batch.outcomes[place] = self._dead(records[place], error, attempts=0)
        if readings.groups:
            for group in await self._asker.ask(readings.groups, batch.puids, batch.traces):
                self._settle(batch, group)
        return [outcome for outcome in batch.outcomes if outcome is not None]

    def refused(self, message: Outgoing, error: PenstockError) -> Outgoing:
        """The dead letter of a result that the broker does not take."""
        return self._dead(message.source, error, attempts=1)

    def _pass_nulls(self, batch: _Batch) -> None:
        """Do with tombstones what the spec says."""
        policy = self._stream.source.on_null
        for place, record in enumerate(batch.records):
            if record.value is not None:
                continue
            if policy == "skip":
                self._metrics.skipped.inc()
            elif policy == "forward" and record.key is not None:
                self._metrics.forwarded.inc()
                headers = result_headers(record, batch.puids[place], told_headers(self._stream.name))
                batch.outcomes[place] = Outgoing(self._stream.sink.topic, record.key, None, headers, record)
            else:
                error = PayloadError("the record has no value", code="NULL_VALUE")
                batch.outcomes[place] = self._dead(record, error, attempts=0)

    def _settle(self, batch: _Batch, group: Group) -> None:
        """Put the outcomes of a group in their places."""
        if group.answer is None:
            error = group.error or PenstockError("no outcome")
            for place in group.members:
                batch.outcomes[place] = self._dead(batch.records[place], error, attempts=group.attempts)
            return
        self._model, self._version = group.answer.model, group.answer.version
        readings, members = batch.readings, group.members
        are_rows = [readings.is_row[place] for place in members]
        documents = readings.documents_of(group)
        values = contents(self._stream.sink, group, group.answer.payload, are_rows, documents)
        errors = {place: value for place, value in zip(members, values, strict=True) if isinstance(value, PayloadError)}
        for place, result in zip(members, self._results(batch, group, values), strict=True):
            batch.outcomes[place] = result
        for place, error in errors.items():
            batch.outcomes[place] = self._dead(batch.records[place], error, attempts=group.attempts)
        self._metrics.results.inc(len(members) - len(errors))

    def _results(self, batch: _Batch, group: Group, values: Sequence[bytes | PayloadError]) -> list[Outgoing]:
        """The results of one call; what stands where there is an error is not used."""
        call = group.puid if len(group.members) > 1 else ""
        told = told_headers(self._stream.name, self._model, self._version, group.seconds, call)
        records = [batch.records[place] for place in group.members]
        puids = [batch.puids[place] for place in group.members]
        traced = (
            [(at, place) for at, place in enumerate(group.members) if place in batch.traces] if batch.traces else ()
        )
        parents = {at: batch.traces[place].parent(group.span) for at, place in traced}
        headers = headers_of_results(records, puids, told, parents)
        topic = self._stream.sink.topic
        # What `Outgoing` does itself, but for its constructor, which is Python and takes twice as long.
        return [
            _new(Outgoing, (topic, record.key, value, its, record))
            for record, value, its in zip(records, values, headers, strict=True)
        ]

    def _dead(self, record: Record, error: PenstockError, *, attempts: int) -> Outgoing:
        self._metrics.dead(error.code)
        return dead_letter(self._stream, record, error, attempts=attempts, model=self._model, version=self._version)
