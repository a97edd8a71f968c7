"""Workers that are killed, stopped or joined by others; services that go away; brokers that are not there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from penstock.deploy.ports import free_port
from penstock.proto import SetupError, Unavailable
from penstock.streams.engine import worker as worker_of

from .conftest import ENGINES, Case, on_both_engines, on_each_engine, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .conftest import Cluster

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]


RECORDS = 50_000
MOST_DOUBLED = {ENGINES["faust"]: 2 * 32, ENGINES["exactly-once"]: 0}  # Faust: one batch for each kill


async def fill(cluster: Cluster, topic: str, partitions: int, numbers: range) -> None:
    """Numbered records, [[n, 0]] with key n, many in one batch."""
    from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]  # it has no types

    async with AIOKafkaProducer(bootstrap_servers=cluster.address, max_batch_size=500_000) as producer:
        for partition in range(partitions):
            batch = producer.create_batch()
            for number in numbers[partition::partitions]:
                record = {"timestamp": None, "key": b"%d" % number, "value": b"[[-%d, 0]]" % number}
                if batch.append(**record) is None:
                    await producer.send_batch(batch, topic, partition=partition)
                    batch = producer.create_batch()
                    batch.append(**record)
            await producer.send_batch(batch, topic, partition=partition)
        await producer.flush()


@contextmanager
def program(spec: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker as a process of its own."""
    command = [sys.executable, "-m", "penstock.cli", "stream", "run", str(spec), "--interval", "1"]
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def answered(cluster: Cluster, topic: str) -> Counter[int]:
    numbers: Counter[int] = Counter()
    for record in cluster.read(topic):
        assert json.loads(record.value) == [[-float(record.key)]]
        numbers[int(record.key)] += 1
    return numbers


@on_both_engines
@pytest.mark.timeout(600)
async def test_two_kills_in_50000_records_lose_none(
    case: Case, paced: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    # Small batches, so that it is often killed in a commit.
    case.service = paced
    spec, log = case.file(extra="[batch]\nrecords = 32"), tmp_path / "worker.log"
    await fill(case.cluster, case.source, 3, range(RECORDS))
    for part in (RECORDS // 4, RECORDS // 2):
        with program(spec, log) as worker:
            await until(lambda part=part: case.cluster.size(case.sink) >= part)  # type: ignore[misc]
            os.kill(worker.pid, signal.SIGKILL)
        assert case.cluster.size(case.sink) < RECORDS, "killed too late to prove anything"
    with program(spec, log) as worker:
        await until(lambda: case.cluster.committed(f"penstock-{case.name}", case.source) == RECORDS)
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 40) == 0
    numbers = await asyncio.to_thread(answered, case.cluster, case.sink)
    doubles = sum(times - 1 for times in numbers.values())
    lost = RECORDS - len(numbers)
    record_property("reported", f"killed twice in {RECORDS:,} records: {lost} lost, {doubles} doubled")
    assert lost == 0
    assert case.cluster.size(case.dead) == 0
    # At most what was between delivery and commit, and it is recognised by its puid.
    assert doubles <= MOST_DOUBLED[case.engine]


@on_each_engine
async def test_a_stop_leaves_nothing_to_do_twice(case: Case, paced: str, tmp_path: Path) -> None:
    # Small batches: all that are in hand are less than there is. They are finished.
    case.service = paced
    spec, log = case.file(extra="[batch]\nrecords = 32"), tmp_path / "worker.log"
    await fill(case.cluster, case.source, 3, range(40_000))
    with program(spec, log) as worker:
        await until(lambda: case.cluster.size(case.sink) >= 1_000)
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 40) == 0
    done = case.cluster.size(case.sink)
    assert done < 40_000, "stopped too late to prove anything"
    assert case.cluster.committed(f"penstock-{case.name}", case.source) == done
    with program(spec, log):
        await case.outcome(40_000, within=150.0)
    numbers = answered(case.cluster, case.sink)
    assert len(numbers) == 40_000
    assert max(numbers.values()) == 1


@on_each_engine
async def test_a_second_worker_joins_and_leaves(case: Case, tmp_path: Path) -> None:
    spec, log = case.file(), tmp_path / "worker.log"
    with program(spec, log):
        await fill(case.cluster, case.source, 3, range(10_000))
        await until(lambda: case.cluster.size(case.sink) >= 1_000)
        with program(spec, log) as second:
            await fill(case.cluster, case.source, 3, range(10_000, 20_000))
            await until(lambda: log.read_text().count("ready") == 2)
            await fill(case.cluster, case.source, 3, range(20_000, 30_000))
            await until(lambda: case.cluster.size(case.sink) >= 25_000)
            second.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(second.wait, 40) == 0
        await fill(case.cluster, case.source, 3, range(30_000, 40_000))
        await case.outcome(40_000)
        await until(lambda: case.cluster.committed(f"penstock-{case.name}", case.source) == 40_000)
    numbers = answered(case.cluster, case.sink)
    assert len(numbers) == 40_000
    assert sum(numbers.values()) == 40_000


@on_both_engines
async def test_a_service_that_goes_away_is_waited_for(case: Case, model: Path, working: Callable[..., Any]) -> None:
    from penstock.serving.lifecycle import running
    from penstock.serving.settings import Settings

    async with running(Settings(model=model, grpc_port=0, http_port=0)) as service:
        port = int(service.grpc_address.rpartition(":")[2])
        case.service = f'address = "grpc://127.0.0.1:{port}"'
        async with working(case.spec()) as worker:
            await fill(case.cluster, case.source, 3, range(500))
            await case.outcome(500)
    async with working(case.spec()) as worker:
        await fill(case.cluster, case.source, 3, range(500, 1500))
        await until(lambda: worker.metrics.registry.get_sample_value(*_WAITS(case)) > 2)
        assert case.cluster.size(case.sink) == 500
        async with running(Settings(model=model, grpc_port=port, http_port=0)):
            await case.outcome(1500)
    numbers = answered(case.cluster, case.sink)
    assert len(numbers) == 1500
    assert case.cluster.size(case.dead) == 0


def _WAITS(case: Case) -> tuple[str, dict[str, str]]:  # noqa: N802
    return "penstock_stream_waits_total", {"stream": case.name}


async def test_a_record_that_makes_the_model_hang_is_set_aside_alone(case: Case, working: Callable[..., Any]) -> None:
    case.service += "\ndeadline = 0.3"
    async with working(case.spec(extra="[batch]\nwait = 0.5")):
        case.cluster.send(case.source, b"[[0]]", key=b"k")
        case.cluster.flush()
        await case.outcome(1)
        for number in range(660, 676):
            if number != 666:
                case.cluster.send(case.source, b"[[%d]]" % number, key=b"k")
        case.cluster.flush()
        await case.outcome(16)
    results = [json.loads(record.value)[0][0] for record in case.cluster.read(case.sink)]
    assert results == [0, *(number for number in range(660, 676) if number not in (666, 667))]
    (dead,) = case.cluster.read(case.dead)
    assert dead.value == b"[[667]]"
    assert dict(dead.headers)["penstock-dlq-reason"] == b"DEADLINE_EXCEEDED"


@on_both_engines
async def test_a_stop_does_not_wait_for_a_service_that_is_away(case: Case, working: Callable[..., Any]) -> None:
    case.service = f'address = "grpc://127.0.0.1:{nobody()}"'
    await fill(case.cluster, case.source, 3, range(100))
    async with working(case.spec()) as worker:
        await until(lambda: worker.metrics.registry.get_sample_value(*_WAITS(case)) > 1)
    assert worker.metrics.registry.get_sample_value("penstock_stream_abandoned_total", {"stream": case.name}) > 0
    assert case.cluster.size(case.sink) == case.cluster.size(case.dead) == 0
    assert case.cluster.committed(f"penstock-{case.name}", case.source) == 0


@on_both_engines
async def test_a_rebalance_does_not_wait_for_a_service_that_is_away(
    case: Case, model: Path, working: Callable[..., Any]
) -> None:
    from penstock.serving.lifecycle import running
    from penstock.serving.settings import Settings

    port = nobody()
    case.service = f'address = "grpc://127.0.0.1:{port}"'
    await fill(case.cluster, case.source, 3, range(3_000))
    async with working(case.spec()) as first:
        await until(lambda: first.metrics.registry.get_sample_value(*_WAITS(case)) > 1)
        async with working(case.spec()), running(Settings(model=model, grpc_port=port, http_port=0)):
            await case.outcome(3_000)
    numbers = answered(case.cluster, case.sink)
    assert len(numbers) == 3_000


async def test_what_no_waiting_will_change_stops_the_worker_and_loses_nothing(case: Case) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:  # HTTP/1.1, and nothing of ours
        threading.Thread(target=other.serve_forever, daemon=True).start()
        try:
            case.service = f'address = "grpc://127.0.0.1:{other.server_port}"'
            await fill(case.cluster, case.source, 3, range(10))
            with pytest.raises(SetupError, match="does not speak gRPC"):
                await worker_of(case.spec()).run(lambda: None)
        finally:
            other.shutdown()
    assert case.cluster.size(case.dead) == 0
    assert case.cluster.committed(f"penstock-{case.name}", case.source) == 0


@pytest.mark.parametrize("engine", ENGINES)
async def test_no_broker_is_told_within_the_time_set(tmp_path: Path, model: Path, engine: str) -> None:
    where = _Nowhere(f"127.0.0.1:{nobody()}")
    nowhere = Case("nowhere", where, tmp_path, f'model = "{model}"', ENGINES[engine])  # type: ignore[arg-type]
    stream = nowhere.spec(extra="start_timeout = 1")
    with pytest.raises(Unavailable, match=r"no Kafka broker answers at .* tried for 1 s"):
        await worker_of(stream).run(lambda: None)


class _Nowhere:
    def __init__(self, address: str) -> None:
        self.address = address


async def test_a_missing_topic_is_told_where_none_may_be_created(case: Case) -> None:
    with pytest.raises(SetupError, match=f"there is no topic '{case.sink}'"):
        await worker_of(case.spec(extra="create_topics = false")).run(lambda: None)


async def test_topics_are_created_with_the_partitions_of_the_source(case: Case, working: Callable[..., Any]) -> None:
    async with working(case.spec()):
        pass
    assert [case.cluster.partitions(topic) for topic in (case.sink, case.dead)] == [3, 3]


def nobody() -> int:
    """A port of this machine that nobody listens on, nor connects from."""
    return free_port()
