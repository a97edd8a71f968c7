"""A batch has, record by record, the outcome that each record has alone; only the calls are fewer."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from penstock.proto import Kind, Payload, PayloadError
from penstock.streams.calls import caller
from penstock.streams.columns import columns
from penstock.streams.headers import CALL, ELAPSED
from penstock.streams.metrics import Metrics
from penstock.streams.patience import Patience
from penstock.streams.pointers import Pointer
from penstock.streams.processing import Processor
from penstock.streams.reading import Reading, read, read_batch
from penstock.streams.records import Outgoing, Record
from penstock.streams.results import content, contents
from penstock.streams.spec import Batch, Service, Sink, Source, Stream
from penstock.streams.stacking import Group, grouped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

FEATURES = Source("in", Kind.NDARRAY, features=(Pointer.parse("x"),))
SOURCES = {
    "the whole record": Source("in", Kind.NDARRAY),
    "one key": FEATURES,
    "names": replace(FEATURES, names=("a", "b")),
    "a place deep inside": Source("in", Kind.NDARRAY, features=(Pointer.parse("/x/0"),)),
    "a key for each column": Source("in", Kind.NDARRAY, features=(Pointer.parse("a"), Pointer.parse("b"))),
    "tensor": Source("in", Kind.TENSOR),
    "text": Source("in", Kind.STR_DATA, features=(Pointer.parse("x"),)),
}

NUMBERS = st.floats(-1e6, 1e6) | st.integers(-9, 9) | st.sampled_from([0.0, -0.0, 666, 2**53, 2**53 + 1, 2**63, 1e300])
ODD = st.none() | st.booleans() | st.sampled_from(["NaN", "Infinity", "text", "", 2**70, -(2**63) - 1])
ROWS = st.lists(NUMBERS, min_size=2, max_size=2) | st.lists(NUMBERS | ODD, max_size=3)
PLAIN = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2)
TABLES = ROWS | st.lists(ROWS, max_size=3) | st.lists(st.lists(PLAIN, max_size=2), max_size=2) | ODD
DOCUMENTS = (
    TABLES.map(lambda x: {"id": 7, "x": x})
    | st.tuples(NUMBERS | ODD, NUMBERS | ODD).map(lambda pair: {"a": pair[0], "b": pair[1]})
    | TABLES
    | st.just({"id": 8})
)
ANYTHING = DOCUMENTS.map(lambda x: json.dumps(x).encode()) | st.sampled_from(
    [None, b"", b"no JSON", b"\xff", b'{"x": [1, 2]', b'{"x": [1e999, 1]}', b'{"x": [NaN, 1]}', b" {} ", b"[" * 2000]
)


FORMS: dict[str, Callable[[Any], Any]] = {
    "all of it": lambda x: x,
    "under x": lambda x: {"x": x, "id": 7},
    "deep inside": lambda x: {"x": [x]},
    "in columns": lambda x: {"a": x[0], "b": x[-1]} if x else {},
}


MIXED = st.floats(-1e6, 1e6) | st.integers(-9, 9)
ODD_ONES: list[Any] = [
    [],
    [[]],
    [1.5],
    [[1.5, 2], [3.5]],
    [1, None],
    [1, True],
    [1, "NaN"],
    [2**53 + 1, 0.5],
    None,
    "x",
]


@st.composite
def uniform(draw: st.DrawFn) -> list[bytes]:
    """A batch of one form, which can be read as a whole, or could but for one record."""
    row = st.lists(
        draw(st.sampled_from([st.floats(-9, 9), st.integers(-(2**63), 2**63 - 1), MIXED, NUMBERS])),
        min_size=2,
        max_size=2,
    )
    form = FORMS[draw(st.sampled_from(list(FORMS)))]
    records = draw(st.lists(st.lists(row, min_size=1, max_size=3) if draw(st.booleans()) else row, min_size=2))
    if draw(st.booleans()):
        records.insert(draw(st.integers(0, len(records))), draw(st.sampled_from(ODD_ONES)))
    return [json.dumps(form(x)).encode() for x in records]


BATCHES = uniform() | st.lists(ANYTHING, min_size=1, max_size=12)


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=50, deadline=None)
@example(values=[b"[1, 2.5]", b"[3, 4]", b"[5, 6]"], most_rows=8, keep=False)
@example(values=[b'{"x": [[1, 2.5], [1, 2]]}', b'{"x": [[3, 4]]}'], most_rows=2, keep=True)
@given(values=BATCHES, most_rows=st.integers(1, 8), keep=st.booleans())
def test_a_batch_is_read_as_each_record_alone(
    name: str, values: list[bytes | None], most_rows: int, keep: bool
) -> None:
    source = SOURCES[name]
    alone: dict[int, Reading | PayloadError] = {}
    for place, value in enumerate(values):
        if value is not None:
            try:
                alone[place] = read(source, value, keep_document=keep)
            except PayloadError as error:
                alone[place] = error
    good = {place: reading for place, reading in alone.items() if isinstance(reading, Reading)}
    together = read_batch(source, values, keep_documents=keep, most_rows=most_rows)
    wanted = grouped(list(good), [reading.payload for reading in good.values()], most_rows)
    assert sorted(map(_told, together.groups)) == sorted(map(_told, wanted))
    assert {place: together.is_row[place] for place in good} == {p: reading.is_row for p, reading in good.items()}
    documents = {place: reading.document for place, reading in good.items()} if keep else {}
    assert repr(together.documents) == repr(documents)
    assert {place: _error(error) for place, error in together.errors.items()} == {
        place: _error(error) for place, error in alone.items() if isinstance(error, PayloadError)
    }


def _told(group: Group) -> tuple[Any, ...]:
    payload = group.payload
    if not payload.kind.is_array:
        return group.members, group.rows, payload.kind, payload.value
    array = payload.array
    content = repr(array.tolist()) if array.dtype == object else array.tobytes().hex()
    return group.members, group.rows, payload.kind, payload.names, str(array.dtype), array.shape, content


def _error(error: PayloadError) -> tuple[Any, ...]:
    return type(error), error.code, error.message


@pytest.mark.parametrize(
    ("values", "dtypes"),
    [
        ([b"[1.5, 2.0]", b"[0.5, 1.0]"], ["float64"]),
        ([b"[1, 2]", b"[3, 4]"], ["int64"]),
        ([b"[1, 2.5]", b"[3, 4]", b"[0.5, 1]"], ["float64", "int64"]),
        ([b"[[1, 2.5], [1, 2]]", b"[[1, 2]]"], ["float64", "int64"]),
        ([b"[1.5, 2.0]", b"no JSON", None, b"[0.5, 1.0]"], ["float64"]),
    ],
)
def test_plain_rows_are_read_together(values: list[bytes | None], dtypes: list[str]) -> None:
    table = columns(Source("in", Kind.NDARRAY), values, keep_documents=False)
    assert table is not None
    assert [str(group.payload.array.dtype) for group in table.groups] == dtypes


@pytest.mark.parametrize(
    "values",
    [[b"[true]", b"[1]"], [b"[null]"], [b"[1]", b"[1, 2]"], [b"[]"], [b"[1]", b"[[1]]"], [b"[9223372036854775808]"]],
)
def test_what_is_no_plain_row_is_read_alone(values: list[bytes]) -> None:
    assert columns(Source("in", Kind.NDARRAY), values, keep_documents=False) is None


ELEMENTS = {
    "float64": st.floats(),
    "float32": st.floats(width=32),
    "float16": st.floats(width=16),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint8": st.integers(0, 255),
    "bool": st.booleans(),
    "object": st.sampled_from([None, "text", "NaN", ",[", 1, 1.5, 2**70, True]),
}


@st.composite
def answered(draw: st.DrawFn) -> tuple[list[int], list[bool], Payload]:
    """How many rows each record has, whether it is one row, and an answer to all of them."""
    rows = draw(st.lists(st.integers(1, 3), min_size=2, max_size=6))
    if draw(st.booleans()):
        rows = [1] * len(rows)
    are_rows = [count == 1 and draw(st.booleans()) for count in rows]
    dtype = draw(st.sampled_from(list(ELEMENTS)))
    inner = draw(st.sampled_from([(), (2,), (0,), (2, 3), (0, 2), (1, 1)]))
    array = draw(hnp.arrays(dtype, (sum(rows), *inner), elements=ELEMENTS[dtype]))
    kind = draw(st.sampled_from([Kind.NDARRAY, Kind.TENSOR, Kind.TFTENSOR]))
    if kind is Kind.TENSOR:
        array = array.astype(np.float64) if dtype != "object" else np.zeros(array.shape)
    return rows, are_rows, Payload(kind, array)


@pytest.mark.parametrize("field", ["", "answer", "/x/y"])
@pytest.mark.parametrize("kind", [None, *Kind])
@settings(max_examples=20, deadline=None)
@given(given_=answered())
def test_results_are_written_as_each_alone(
    kind: Kind | None, field: str, given_: tuple[list[int], list[bool], Payload]
) -> None:
    rows, are_rows, answer = given_
    sink = Sink("out", kind, Pointer.parse(field) if field else None)
    documents = ['{"id": 1}', '{"x": 5}', "[1]", '{"x": {}}'] * 2
    wanted: list[Any] = []
    start = 0
    for count, is_row, text in zip(rows, are_rows, documents, strict=False):
        part = Payload(answer.kind, answer.array[start : start + count])
        start += count
        try:
            wanted.append(content(sink, part, json.loads(text), is_row=is_row))
        except PayloadError as error:
            wanted.append(_error(error))
    group = Group(list(range(len(rows))), answer, rows)
    given = contents(sink, group, answer, are_rows, [json.loads(text) for text in documents[: len(rows)]])
    assert [_error(each) if isinstance(each, PayloadError) else each for each in given] == wanted


@asynccontextmanager
async def processing(stream: Stream) -> AsyncIterator[tuple[Processor, Metrics]]:
    metrics = Metrics(stream.name)
    async with caller(stream.service) as answers:
        yield Processor(stream, answers, Patience(), metrics), metrics


def stream_of(model: Path, source: Source = FEATURES, sink: Sink | None = None, batch: Batch | None = None) -> Stream:
    return Stream("s", source, Service(model=model), sink or Sink("out", Kind.NDARRAY), "dead", batch=batch or Batch())


def records_of(values: Sequence[bytes | None], headers: Sequence[Any] = ()) -> list[Record]:
    return [
        Record("in", place % 3, place, 1000 + place, b"k%d" % (place % 2) if place % 5 else None, value, list(headers))
        for place, value in enumerate(values)
    ]


def _lasting(outgoing: Outgoing) -> tuple[Any, ...]:
    """All of a record but what tells of the call: the message of a broken model has a number to find it in the log."""
    passing = {CALL, ELAPSED, "penstock-dlq-attempts", "penstock-model"}
    if ("penstock-dlq-reason", b"MODEL_FAILED") in outgoing.headers:
        passing.add("penstock-dlq-message")
    headers = [header for header in outgoing.headers if header[0] not in passing]
    return outgoing.topic, outgoing.key, outgoing.value, headers, outgoing.source


@pytest.mark.parametrize("name", ["the whole record", "one key", "a key for each column"])
@pytest.mark.parametrize(
    "sink", [Sink("out", Kind.NDARRAY), Sink("out", None, Pointer.parse("y")), Sink("out", Kind.TENSOR)]
)
def test_a_batch_is_answered_as_each_record_alone(model: Path, name: str, sink: Sink) -> None:
    stream = stream_of(model, SOURCES[name], sink)

    with asyncio.Runner() as runner:
        opened = processing(stream)
        processor, _ = runner.run(opened.__aenter__())

        @settings(max_examples=15, deadline=None)
        @given(
            values=BATCHES, headers=st.lists(st.sampled_from([("puid", b"p"), ("penstock-model", b"m"), ("x", None)]))
        )
        def check(values: list[bytes | None], headers: list[Any]) -> None:
            records = records_of(values, headers)
            together = runner.run(processor.process(records))
            alone = [each for record in records for each in runner.run(processor.process([record]))]
            assert list(map(_lasting, together)) == list(map(_lasting, alone))

        check()
        runner.run(opened.__aexit__(None, None, None))


@pytest.mark.parametrize("place", [0, 31, 63])
@pytest.mark.parametrize("text", [b'{"x": [%d.5, 1]}', b'{"x": [[%d, 1], [%d, 2]]}', b'{"x": [%d, "NaN"]}'])
async def test_one_bad_record_in_64_costs_at_most_12_more_calls(model: Path, place: int, text: bytes) -> None:
    bad = text.replace(b"%d.5", b"666").replace(b"%d", b"666")
    good = [text.replace(b"%d", b"%d" % number) for number in range(1000, 1064)]
    async with processing(stream_of(model)) as (processor, metrics):
        out = await processor.process(records_of([*good[:place], bad, *good[place + 1 :]]))
    assert [each.topic for each in out] == ["dead" if at == place else "out" for at in range(64)]
    assert (out[place].value, dict(out[place].headers)["penstock-dlq-reason"]) == (bad, b"MODEL_FAILED")
    assert metrics.totals() | {"records": 0} == {
        "records": 0,
        "results": 63,
        "dead_letters": 1,
        "acknowledged": 0,
        "calls": metrics.totals()["calls"],
    }
    assert metrics.totals()["calls"] <= 13
    assert dict(out[place].headers)["penstock-dlq-attempts"] in [b"%d" % tries for tries in range(1, 8)]


async def test_what_is_no_record_costs_no_call(model: Path) -> None:
    values = [b'{"x": [%d.5, 1]}' % number for number in range(20)]
    values[7], values[11] = b"no JSON", b'{"id": 1}'
    async with processing(stream_of(model)) as (processor, metrics):
        out = await processor.process(records_of(values))
    reasons = {at: dict(each.headers)["penstock-dlq-reason"] for at, each in enumerate(out) if each.topic == "dead"}
    assert reasons == {7: b"INVALID_JSON", 11: b"MISSING_FIELD"}
    assert metrics.totals()["calls"] == 1


async def test_a_call_has_no_more_rows_than_the_spec_says(model: Path) -> None:
    values = [json.dumps({"x": [[float(n), 1.0]] * 3}).encode() for n in range(20)]
    async with processing(stream_of(model, batch=Batch(rows=10))) as (processor, metrics):
        out = await processor.process(records_of(values))
    assert [json.loads(each.value or b"") for each in out] == [[[n + 1.0]] * 3 for n in range(20)]
    assert metrics.totals()["calls"] == 7


async def test_a_model_that_does_not_answer_row_by_row_is_asked_for_each_record(tmp_path: Path) -> None:
    (tmp_path / "total").mkdir()
    (tmp_path / "total" / "SeldonWrapper.py").write_text(
        "class SeldonWrapper:\n    def predict(self, X, names=None):\n        return [[float(X.sum())]]\n"
    )
    values = [b'{"x": [%d.5, 1]}' % number for number in range(10)]
    async with processing(stream_of(tmp_path / "total")) as (processor, metrics):
        out = [each for _ in range(2) for each in await processor.process(records_of(values))]
    assert [each.value for each in out] == [b"[%d.5]" % (number + 1) for number in range(10)] * 2
    assert all(CALL not in dict(each.headers) for each in out)
    assert metrics.totals()["dead_letters"] == 0
