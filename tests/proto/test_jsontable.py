"""The short way through JSON reads tables and nothing else, and what it reads and writes is what `jsonform` does."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from penstock.proto import Kind, Limits, Message, Meta, Payload, message_from_json, write_json_message
from penstock.proto.jsontable import path_text, read_table, write_meta, write_numbers, write_table
from penstock.proto.jsontext import loads

LIMITS = Limits(elements=50)
numbers = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(1 << 70), 1 << 70))
cells = st.one_of(numbers, numbers, numbers, st.booleans(), st.none(), st.sampled_from(["1.5", ".", "NaN"]))
rows = st.integers(1, 4).flatmap(lambda size: st.lists(st.lists(cells, min_size=size, max_size=size), max_size=4))
arrays: st.SearchStrategy[Any] = st.one_of(rows, st.lists(st.lists(cells, max_size=3), max_size=3), cells)
tensors = st.fixed_dictionaries(
    {"values": st.lists(cells, max_size=6)}, optional={"shape": st.lists(cells | st.integers(-1, 6), max_size=3)}
)
names = st.one_of(st.none(), st.lists(st.text('a."é', max_size=3) | st.integers(), max_size=3))
data = st.one_of(
    st.fixed_dictionaries({"ndarray": arrays}, optional={"names": names}),
    st.fixed_dictionaries({"tensor": tensors | arrays}, optional={"names": names}),
    st.fixed_dictionaries({"tensor": tensors, "ndarray": arrays}),
    cells,
)
puids = st.text('a.-"\\\n é', max_size=4) | st.integers()
metas: st.SearchStrategy[Any] = st.none() | st.fixed_dictionaries({}, optional={"puid": puids, "tags": st.just({})})
messages = st.fixed_dictionaries({"data": data}, optional={"meta": metas, "strData": cells})


@given(messages | cells | arrays)
@example({"data": {"ndarray": [[9007199254740993]]}})
@example({"data": {"ndarray": [[1, 2.5], [3, 4]]}, "meta": {"puid": "a-1"}})
@example({"data": {"names": ["a.b"], "ndarray": [[9007199254740993]]}})
def test_a_table_is_what_the_long_way_reads(value: Any) -> None:
    text = json.dumps(value).encode()
    table = read_table(text, LIMITS)
    if table is None:
        return
    read = message_from_json(loads(text), LIMITS)
    assert read.payload is not None
    assert (read.payload.kind, read.meta) == (table.kind, Meta(table.puid))
    np.testing.assert_array_equal(read.payload.array, table.numbers)
    assert table.numbers.dtype == np.float64


@pytest.mark.parametrize(
    ("text", "shape", "puid"),
    [
        ('{"data":{"ndarray":[[1.5,2.0]]}}', (1, 2), ""),
        (' { "data" : { "ndarray" : [ [ 1, 2.5 ], [-3, 1e3] ] } } ', (2, 2), ""),
        ('{"data":{"names":["a.b","c"],"ndarray":[[1.0,2]]},"meta":{}}', (1, 2), ""),
        ('{"meta":{"puid":"a.b"},"data":{"tensor":{"shape":[2,1],"values":[1,true]}}}', None, None),
        ('{"meta":{"puid":"a.b"},"data":{"tensor":{"shape":[2,1],"values":[1,2.5]}}}', (2, 1), "a.b"),
    ],
)
def test_what_almost_everyone_sends_is_a_table(text: str, shape: Any, puid: Any) -> None:
    table = read_table(text.encode(), LIMITS)
    assert (table and table.numbers.shape, table and table.puid) == (shape, puid)


@pytest.mark.parametrize("kind", ["ndarray", "tensor"])
@pytest.mark.parametrize("number", ["0.25", "1", "1e400", '"0.25"', "9007199254740993"])
@pytest.mark.parametrize("count", [100, 1000, 3000])
def test_larger_tables_are_read_as_the_long_way_does(kind: str, number: str, count: int) -> None:
    flat = ",".join([number] * 2 * count)
    rows = ",".join([f"[{number},{number}]"] * count)
    form = f"[{rows}]" if kind == "ndarray" else f'{{"shape":[{count},2],"values":[{flat}]}}'
    text = f'{{"data":{{"{kind}":{form}}}}}'.encode()
    table = read_table(text, Limits())
    if number == "0.25" and len(text) < 16_000:
        assert table is not None
    if table is not None:
        read = message_from_json(loads(text)).payload
        assert read is not None
        np.testing.assert_array_equal(read.array, table.numbers)


@pytest.mark.parametrize(
    "text",
    [
        '{"data":{"ndarray":[1.5,2.5]}}',
        f"[{','.join(['1.5'] * 1500)}]",  # so long that it is read as an array
        '{"data":{"ndarray":[[[1.5]]]}}',
        '{"data":{"ndarray":[["1.5"]]}}',
        '{"data":{"ndarray":["ab"]}}',
        '{"data":{"ndarray":{"a":1}}}',
        '{"data":{"ndarray":[[0.5],[1.5,2.5]]}}',
        '{"data":{"ndarray":[[]]}}',
        '{"data":{"ndarray":[["."],[9007199254740993]]}}',
        # The last of two that are equal counts: the point belongs to the other one.
        '{"data":{"ndarray":[[0.5]],"ndarray":[[9007199254740993]]}}',
        '{"data":{"ndarray":[[1.5]]},"meta":{"puid":"a\\nb"}}',
        '{"data":{"ndarray":[[1.5]]},"meta":{"tags":{}}}',
        '{"data":{"ndarray":[[1.5]]},"more":1}',
        '{"data":{"ndarray":[[1.5]],"names":[1]}}',
        '{"data":{"tensor":{"shape":[1.0,1.0],"values":[1.5]}}}',
        '{"data":{"tensor":{"shape":[-1,-1],"values":[1.5]}}}',
        '{"data":{"tensor":{"shape":[1,1],"values":[1.5],"more":1}}}',
        '{"data":{"ndarray":[[1.5]]}',
        "",
        "[" * 5000,
        f'{{"data":{{"ndarray":[[{"1.5," * 50}1.5]]}}}}',
        f'{{"data":{{"ndarray":[[{" " * 20_000}1.5]]}}}}',
        f'{{"data":{{"ndarray":[[1{"0" * 400}]]}}}}',
    ],
)
def test_all_else_is_left_to_the_long_way(text: str) -> None:
    assert read_table(text.encode(), LIMITS) is None


@given(
    st_numpy.arrays(np.float64, st_numpy.array_shapes(min_dims=2, max_dims=2, max_side=4)),
    st.sampled_from([Kind.NDARRAY, Kind.TENSOR]),
    st.text("ab.-", min_size=1, max_size=4),
    st.lists(st.text(max_size=3), min_size=1, max_size=3),
)
def test_what_is_written_is_what_the_long_way_writes(array: Any, kind: Kind, puid: str, names: list[str]) -> None:
    path = {"model": "model:1"}
    text = write_numbers(array)
    assert bool(text) == bool(np.isfinite(array).all())
    if text:
        written = write_table(kind, tuple(names), text[2:-2].split(b"],["), array.shape[1])
        message = Message(Payload(kind, array, tuple(names)), Meta(puid, request_path=path))
        assert written + write_meta(puid, path_text(path)) == write_json_message(message)
