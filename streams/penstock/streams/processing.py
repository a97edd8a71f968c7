"""What happens to a batch of records, between reading and writing: the same for every engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.proto import PayloadError, PenstockError

from .asking import Asker, Question
from .dead_letters import dead_letter
from .headers import puid_of, result_headers, told_headers
from .reading import read
from .records import Outgoing
from .results import content

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .calls import Answer, Caller
    from .metrics import Metrics
    from .patience import Patience
    from .reading import Reading
    from .records import Headers, Record
    from .spec import Stream


class Processor:
    """Records in, results and dead letters out, in the order of the records."""

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
        work: list[tuple[Record, Reading, Question] | Outgoing] = []
        for record in records:
            outcome = self._read(record)
            if outcome is not None:
                work.append(outcome)
        questions = [each[2] for each in work if not isinstance(each, Outgoing)]
        if questions:
            await self._asker.ask(questions)
        told: dict[tuple[Any, ...], Headers] = {}
        return [each if isinstance(each, Outgoing) else self._written(*each, told) for each in work]

    def refused(self, message: Outgoing, error: PenstockError) -> Outgoing:
        """The dead letter of a result that the broker does not take."""
        return self._dead(message.source, error, attempts=1)

    def _read(self, record: Record) -> tuple[Record, Reading, Question] | Outgoing | None:
        if record.value is None:
            return self._without_value(record)
        try:
            reading = read(self._stream.source, record, keep_document=self._stream.sink.field is not None)
        except PayloadError as error:
            return self._dead(record, error, attempts=0)
        return record, reading, Question(reading.payload, puid_of(record))

    def _without_value(self, record: Record) -> Outgoing | None:
        policy = self._stream.source.on_null
        if policy == "skip":
            self._metrics.skipped.inc()
            return None
        if policy == "forward" and record.key is not None:
            self._metrics.forwarded.inc()
            headers = result_headers(record, puid_of(record), told_headers(self._stream.name, "", "", 0.0))
            return Outgoing(self._stream.sink.topic, record.key, None, headers, record)
        error = PayloadError("the record has no value", code="NULL_VALUE")
        return self._dead(record, error, attempts=0)

    def _written(
        self, record: Record, reading: Reading, question: Question, told: dict[tuple[Any, ...], Headers]
    ) -> Outgoing:
        answer = question.answer
        if answer is None:
            error = question.error or PenstockError("no outcome")
            return self._dead(record, error, attempts=question.attempts)
        self._model, self._version = answer.model, answer.version
        try:
            value = content(self._stream.sink, reading, answer.payload)
        except PayloadError as error:
            return self._dead(record, error, attempts=question.attempts)
        self._metrics.results.inc()
        headers = result_headers(record, question.puid, self._told(answer, question.seconds, told))
        return Outgoing(self._stream.sink.topic, record.key, value, headers, record)

    def _told(self, answer: Answer, seconds: float, told: dict[tuple[Any, ...], Headers]) -> Headers:
        """The headers that all records of a call have in common, made once."""
        key = (answer.model, answer.version, seconds)
        if key not in told:
            told[key] = told_headers(self._stream.name, *key)
        return told[key]

    def _dead(self, record: Record, error: PenstockError, *, attempts: int) -> Outgoing:
        self._metrics.dead(error.code)
        return dead_letter(self._stream, record, error, attempts=attempts, model=self._model, version=self._version)
