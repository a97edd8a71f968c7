"""A stream on a real broker: what comes out for what goes in."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aiokafka.partitioner import murmur2  # type: ignore[import-untyped]  # it has no types

from penstock.proto import Kind, Payload, encode

from .conftest import on_both_engines, on_each_engine, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Case

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]


def headers(record: Any) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers}


@on_each_engine
async def test_each_record_is_answered_under_its_key_and_in_order(case: Case, working: Callable[..., Any]) -> None:
    for number in range(3000):
        case.cluster.send(case.source, b"[[-%d, 1]]" % number, key=b"station-%d" % (number % 17))
    case.cluster.flush()
    async with working(case.spec()) as worker:
        await case.outcome(3000)
    answers = case.cluster.read(case.sink)
    by_key: dict[bytes, list[float]] = defaultdict(list)
    for record in answers:
        by_key[record.key].append(json.loads(record.value)[0][0])
    for key in range(17):
        assert by_key[b"station-%d" % key] == [1 - number for number in range(3000) if number % 17 == key]
    # Each engine gives a key the partition that Kafka's own clients give it.
    assert all(record.partition == (murmur2(record.key) & 0x7FFFFFFF) % 3 for record in answers)
    assert worker.metrics.totals()["calls"] < 300
    assert case.cluster.read(case.dead) == []
    assert case.cluster.committed(f"penstock-{case.name}", case.source) == 3000


@on_each_engine
async def test_without_keys_the_order_of_a_partition_stays(case: Case, working: Callable[..., Any]) -> None:
    for number in range(300):
        case.cluster.send(case.source, b"[[%d]]" % number, partition=number % 3)
    case.cluster.flush()
    async with working(case.spec()):
        await case.outcome(300)
    for partition in range(3):
        got = [json.loads(r.value)[0][0] for r in case.cluster.read(case.sink) if r.partition == partition]
        assert got == [number for number in range(300) if number % 3 == partition]


async def test_a_result_tells_where_it_comes_from(case: Case, working: Callable[..., Any]) -> None:
    given = [("trace", b"\x00\xff"), ("puid", b"p-1"), ("trace", b"again"), ("penstock-model", b"an earlier one")]
    case.cluster.send(case.source, b"[[1, 2]]", key=b"a", headers=given)
    case.cluster.send(case.source, b"[[1, 2]]", key=b"b", headers=[("Seldon-Puid", b"p-2")])
    case.cluster.send(case.source, b"[[1, 2]]", key=b"c")
    case.cluster.flush()
    async with working(case.spec()):
        await case.outcome(3)
    results = {record.key: record for record in case.cluster.read(case.sink)}
    assert list(results[b"a"].headers[:3]) == given[:3]
    told = {key: headers(results[key]) for key in (b"b", b"c")}
    assert told[b"b"]["puid"] == told[b"b"]["Seldon-Puid"] == "p-2"
    assert len(told[b"c"]["puid"]) == 32
    assert told[b"c"]["penstock-model"] == "sums"
    assert "penstock-version" in told[b"c"]
    assert told[b"c"]["penstock-stream"] == case.name
    assert float(told[b"c"]["penstock-elapsed-ms"]) > 0
    assert [value for name, value in results[b"a"].headers if name == "penstock-model"] == [b"sums"]


@on_each_engine
async def test_what_cannot_be_read_is_set_aside_as_it_was(case: Case, working: Callable[..., Any]) -> None:
    given = [("x", b"\x00\xff"), ("x", b""), ("puid", b"p")]
    case.cluster.send(case.source, b"[[1, 2]]", key=b"good", partition=1)
    case.cluster.send(case.source, b"no JSON\x00", key=b"\x00key", headers=given, partition=1)
    case.cluster.send(case.source, b"[[3, 4]]", key=b"good", partition=1)
    case.cluster.flush()
    async with working(case.spec()):
        await case.outcome(3)
    (dead,) = case.cluster.read(case.dead)
    assert (dead.key, dead.value) == (b"\x00key", b"no JSON\x00")
    told = headers(_Tail(dead, 3))
    assert [tuple(header) for header in dead.headers[:3]] == given
    assert told["penstock-dlq-original-headers"] == "3"
    assert told["penstock-dlq-reason"] == "INVALID_JSON"
    assert "not JSON" in told["penstock-dlq-message"]
    assert told["penstock-stream"] == case.name
    place = [told[f"penstock-dlq-{name}"] for name in ("topic", "partition", "offset", "attempts")]
    assert place == [case.source, "1", "1", "0"]
    assert [json.loads(record.value) for record in case.cluster.read(case.sink)] == [[[3.0]], [[7.0]]]


class _Tail:
    def __init__(self, record: Any, start: int) -> None:
        self.headers = record.headers[start:]


@pytest.mark.parametrize("place", [0, 31, 63])
async def test_one_bad_record_in_64_fails_alone(case: Case, working: Callable[..., Any], place: int) -> None:
    for number in range(64):
        case.cluster.send(case.source, b"[[%d]]" % (666 if number == place else number), key=b"k")
    case.cluster.flush()
    async with working(case.spec(extra="[batch]\nrecords = 64\nwait = 3")) as worker:
        await case.outcome(64)
    assert worker.metrics.totals()["calls"] <= 13
    results = case.cluster.read(case.sink)
    assert [json.loads(record.value)[0][0] for record in results] == [n for n in range(64) if n != place]
    (dead,) = case.cluster.read(case.dead)
    assert (dead.value, headers(dead)["penstock-dlq-reason"]) == (b"[[666]]", "MODEL_FAILED")
    assert 1 <= int(headers(dead)["penstock-dlq-attempts"]) <= 7


async def test_rows_of_one_record_come_back_together(case: Case, working: Callable[..., Any]) -> None:
    for rows in range(1, 40):
        case.cluster.send(case.source, json.dumps([[n, rows] for n in range(rows)]).encode(), key=b"k")
    case.cluster.flush()
    async with working(case.spec(extra="[batch]\nrows = 100\nwait = 2")) as worker:
        await case.outcome(39)
    for rows, record in zip(range(1, 40), case.cluster.read(case.sink), strict=True):
        assert json.loads(record.value) == [[n + rows] for n in range(rows)]
    assert worker.metrics.totals()["calls"] < 39


async def test_records_of_different_shape_share_a_batch_but_no_call(case: Case, working: Callable[..., Any]) -> None:
    for value in (b"[[1, 2]]", b"[[1, 2, 3]]", b"[[1.5, 2]]", b"[5, 6]", b"5", b"[]", b'[["a", "b"]]', b"[[7, 8]]"):
        case.cluster.send(case.source, value, key=b"k")
    case.cluster.flush()
    async with working(case.spec(extra="[batch]\nwait = 1")):
        await case.outcome(8)
    results = [json.loads(record.value) for record in case.cluster.read(case.sink)]
    assert results == [[[3.0]], [[6.0]], [[3.5]], [11.0], [[15.0]]]
    assert [record.value for record in case.cluster.read(case.dead)] == [b"5", b"[]", b'[["a", "b"]]']


async def test_features_are_found_in_a_record_and_the_answer_put_into_it(
    case: Case, working: Callable[..., Any]
) -> None:
    case.cluster.send(case.source, b'{"id": 7, "at": {"a": 1, "b": 2}}', key=b"k")
    case.cluster.send(case.source, b'{"id": 8, "at": {"a": 1}}', key=b"k")
    case.cluster.flush()
    source = 'format = "ndarray"\nfeatures = ["/at/a", "/at/b"]'
    async with working(case.spec(source, sink='field = "/result/sum"')):
        await case.outcome(2)
    (record,) = case.cluster.read(case.sink)
    assert json.loads(record.value) == {"id": 7, "at": {"a": 1, "b": 2}, "result": {"sum": [3.0]}}
    (dead,) = case.cluster.read(case.dead)
    assert headers(dead)["penstock-dlq-message"] == "the record has no /at/b"


@pytest.mark.parametrize("kind", ["ndarray", "tensor", "tftensor"])
@pytest.mark.parametrize("answer", ["ndarray", "tensor", "tftensor", "jsonData", "strData", "binData"])
async def test_kinds_in_and_out(case: Case, working: Callable[..., Any], kind: str, answer: str) -> None:
    array = np.array([[1.0, 2.0], [3.0, 4.0]])
    case.cluster.send(case.source, encode(Payload(Kind(kind), array)), key=b"k")
    case.cluster.flush()
    async with working(case.spec(f'format = "{kind}"', sink=f'format = "{answer}"')):
        await case.outcome(1)
    (record,) = case.cluster.read(case.sink)
    expected = np.array([[3.0], [7.0]])
    form = Kind(answer) if Kind(answer).is_array else Kind(kind)
    if answer in ("jsonData", "strData"):
        form = Kind.TENSOR if kind == "tensor" else Kind.NDARRAY
        if kind == "tftensor":
            assert b"DT_DOUBLE" in record.value
            return
    assert record.value == encode(Payload(form, expected))


@on_both_engines
@pytest.mark.parametrize(("policy", "results", "dead"), [("forward", 2, 1), ("skip", 1, 0), ("dead_letter", 1, 2)])
async def test_a_record_without_a_value_goes_where_the_spec_says(
    case: Case, working: Callable[..., Any], policy: str, results: int, dead: int
) -> None:
    case.cluster.send(case.source, None, key=b"gone", partition=0)
    # A null key beside a null value is legal, though most clients do not send it.
    await _send_nothing(case)
    case.cluster.send(case.source, b"[[1]]", key=b"here", partition=0)
    case.cluster.flush()
    async with working(case.spec(f'format = "ndarray"\non_null = "{policy}"')):
        await case.outcome(results + dead)
    got = case.cluster.read(case.sink)
    assert {record.key: record.value for record in got} == (
        {b"here": b"[[1.0]]", b"gone": None} if policy == "forward" else {b"here": b"[[1.0]]"}
    )
    reasons = [headers(record)["penstock-dlq-reason"] for record in case.cluster.read(case.dead)]
    assert reasons == ["NULL_VALUE"] * dead


async def _send_nothing(case: Case) -> None:
    from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]  # it has no types

    async with AIOKafkaProducer(bootstrap_servers=case.cluster.address) as producer:
        batch = producer.create_batch()
        batch.append(timestamp=None, key=None, value=None)
        await (await producer.send_batch(batch, case.source, partition=0))


@on_each_engine
async def test_a_result_too_large_for_the_broker_is_set_aside(case: Case, working: Callable[..., Any]) -> None:

    from kafka.admin import NewTopic  # type: ignore[import-untyped]  # it has no types

    case.cluster.admin.create_topics([NewTopic(case.sink, 1, 1, topic_configs={"max.message.bytes": "2000"})])
    for rows in (3, 2000, 4):
        case.cluster.send(case.source, json.dumps([[1]] * rows).encode(), key=b"k")
    case.cluster.flush()
    async with working(case.spec(extra="[batch]\nwait = 1")):
        await case.outcome(3)
    assert [len(json.loads(record.value)) for record in case.cluster.read(case.sink)] == [3, 4]
    (dead,) = case.cluster.read(case.dead)
    assert headers(dead)["penstock-dlq-reason"] == "RESULT_TOO_LARGE"
    assert len(json.loads(dead.value)) == 2000


@on_both_engines
async def test_transactions_of_the_source_leave_gaps_and_aborted_records(
    case: Case, working: Callable[..., Any]
) -> None:
    from aiokafka import AIOKafkaProducer

    settings = {"bootstrap_servers": case.cluster.address, "transactional_id": case.name}
    async with AIOKafkaProducer(**settings) as producer:
        for number in range(10):
            await producer.begin_transaction()
            await producer.send(case.source, b"[[%d]]" % number, key=b"k", partition=0)
            await (producer.abort_transaction() if number % 2 else producer.commit_transaction())
    async with working(case.spec()):
        await case.outcome(5)
        # 10 records and 10 markers, the last of which no consumer is told of.
        await until(lambda: case.cluster.committed(f"penstock-{case.name}", case.source) >= 17)
    assert [json.loads(record.value)[0][0] for record in case.cluster.read(case.sink)] == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("door", ["grpc", "http"])
async def test_the_model_may_be_a_service(case: Case, model: Path, working: Callable[..., Any], door: str) -> None:
    from penstock.serving.lifecycle import running
    from penstock.serving.settings import Settings

    for number in range(100):
        case.cluster.send(case.source, b"[[%d, 1], [1.5, 2]]" % number, key=b"k")
    case.cluster.send(case.source, b"[[666]]", key=b"k")
    case.cluster.flush()
    async with running(Settings(model=model, version="1.2", grpc_port=0, http_port=0)) as service:
        case.service = f'address = "{f"grpc://{service.grpc_address}" if door == "grpc" else service.http_address}"'
        async with working(case.spec()) as worker:
            await case.outcome(101)
    results = case.cluster.read(case.sink)
    assert [json.loads(record.value) for record in results] == [[[number + 1], [3.5]] for number in range(100)]
    told = headers(results[0])
    assert (told["penstock-model"], told["penstock-version"]) == ("sums", "1.2")
    (dead,) = case.cluster.read(case.dead)
    assert headers(dead)["penstock-dlq-reason"] == "MODEL_FAILED"
    assert worker.metrics.totals()["calls"] < 50


async def test_kinds_without_rows_have_a_call_each(case: Case, tmp_path: Path, working: Callable[..., Any]) -> None:
    (tmp_path / "shout").mkdir()
    (tmp_path / "shout" / "SeldonWrapper.py").write_text(
        "class SeldonWrapper:\n    def predict(self, X, names=None):\n        return X.upper()\n"
    )
    case.service = f'model = "{tmp_path / "shout"}"'
    for number in range(100):
        case.cluster.send(case.source, b'{"id": %d, "text": "a%d"}' % (number, number), key=b"k")
    case.cluster.send(case.source, b'{"id": 1, "text": 5}', key=b"k")
    case.cluster.flush()
    async with working(case.spec('format = "strData"\nfeatures = "text"', sink='field = "loud"')):
        await case.outcome(101)
    results = [json.loads(record.value) for record in case.cluster.read(case.sink)]
    assert results == [{"id": n, "text": f"a{n}", "loud": f"A{n}"} for n in range(100)]
    assert headers(case.cluster.read(case.dead)[0])["penstock-dlq-reason"] == "NOT_TEXT"
