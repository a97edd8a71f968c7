"""The spec file of a forecast: a stream's, with ``[readings]``, ``[scaling]`` and ``[watch]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.proto import Kind, PayloadError, SetupError
from penstock.proto.jsontext import loads
from penstock.streams.pointers import Pointer
from penstock.streams.spec import Sink, Source, Stream
from penstock.streams.spec_file import batch_of, dead_letter_of, kafka_of, name_of, service_of, table_of, topic_of
from penstock.streams.spec_table import Table

from .spec import Fields, Forecast, Scale, Scaling, Watch

if TYPE_CHECKING:
    from pathlib import Path

_PARTS: Final = {
    "station": "station_id",
    "parameter": "parameter_id",
    "time": "reading_time",
    "value": "value",
}
"""The four parts of a reading, and what they are called unless the spec says otherwise."""


def load_forecast(path: str | Path) -> Forecast:
    """Read and check a spec file.

    Raises:
        SetupError: ``BAD_SPEC``, with the file, the key, and what is allowed there.
    """
    table = table_of(path)
    forecast = Forecast(
        stream=_stream(table),
        fields=_fields(table.table("readings")),
        scaling=_scaling(table.table("scaling")),
        watch=_watch(table.table("watch")),
    )
    table.close()
    return forecast


def _stream(table: Table) -> Stream:
    name = name_of(table)
    source, sink = table.table("source"), table.table("sink")
    stream = Stream(
        name=name,
        source=Source(
            topic=topic_of(source),
            format=Kind.JSON_DATA,
            start=source.choice("start", ("earliest", "latest"), "earliest"),
        ),
        service=service_of(table.table("service")),
        sink=Sink(topic_of(sink)),
        dead_letter=dead_letter_of(table.table("dead_letter"), name),
        engine="faust",
        batch=batch_of(table.table("batch")),
        kafka=kafka_of(table.table("kafka"), name),
    )
    source.close()
    sink.close()
    if len({stream.source.topic, stream.sink.topic, stream.dead_letter}) < 3:
        raise table.error("source, sink and dead_letter", "have the same topic twice; they must differ")
    return stream


def _fields(table: Table) -> Fields:
    is_csv = table.choice("format", ("json", "csv"), "json") == "csv"
    names = {part: table.text(part, name) for part, name in _PARTS.items()}
    columns = (table.texts("columns") or tuple(names.values())) if is_csv else ()
    fields = Fields(**{part: Pointer.parse(name) for part, name in names.items()}, columns=columns)
    table.close()
    for part, name in names.items():
        if is_csv and name not in columns:
            raise table.error(part, f"is {name!r}, which is none of the columns {', '.join(columns)}")
    return fields


def _scaling(table: Table) -> Scaling:
    parameters, file = _parameters(table.table("parameters")), table.path("file")
    if file is not None:
        parameters = {**_from_file(file), **parameters}
    other = _scale(table) if "mean" in table or "scale" in table else None
    table.close()
    if not parameters and other is None:
        raise table.error("", "says nothing: give mean and scale, or the file that penstock forecast train has written")
    return Scaling(parameters, other)


def _from_file(file: Path) -> dict[str, Scale]:
    """What `training` has written beside its model."""
    try:
        written = Table(file, "", loads(file.read_bytes()))
    except (OSError, PayloadError) as error:
        raise SetupError(f"{file}: cannot be read as JSON: {error}", code="BAD_SPEC") from None
    return _parameters(written.table("parameters"))


def _parameters(table: Table) -> dict[str, Scale]:
    found = {}
    for parameter in table.names():
        one = table.table(parameter)
        found[parameter] = _scale(one)
        one.close()
    return found


def _scale(table: Table) -> Scale:
    return Scale(table.number("mean"), table.number("scale", above=0.0))


def _watch(table: Table) -> Watch:
    watch = Watch(
        readings=table.whole("readings", 100),
        delta=table.number("delta", 0.0001, above=0.0, below=1.0),
        series=table.whole("series", 1000, least=0),
    )
    table.close()
    return watch
