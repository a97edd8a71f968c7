"""What the pipe alone promises: membership kept by a slow model, bounded memory, zombies that are fenced."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from penstock.proto import ServiceError, SetupError
from penstock.streams import pipe_intake, pipe_outlet, pipe_session, pipe_settings
from penstock.streams.engine import worker as worker_of
from penstock.streams.librdkafka import librdkafka_settings
from penstock.streams.pipe_errors import Rejoin
from penstock.streams.processing import Processor
from penstock.streams.spec import Kafka, Security

from .conftest import ENGINES, Case, until
from .test_trouble import answered, fill, nobody, program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.streams.engine import Worker

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]


def counted(case: Case, worker: Worker, name: str) -> float:
    return worker.metrics.registry.get_sample_value(f"penstock_stream_{name}", {"stream": case.name}) or 0.0


async def test_a_model_slower_than_the_longest_time_between_polls_keeps_its_partitions(
    case: Case, tmp_path: Path, working: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (pipe_settings, pipe_intake):
        monkeypatch.setattr(module, "LONGEST_POLL", 6.0)
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "SeldonWrapper.py").write_text(
        "import time\nclass SeldonWrapper:\n    def predict(self, X, names=None):\n"
        "        time.sleep(9 if X[0, 0] == 1 else 0)\n        return X\n"
    )
    case.service = f'model = "{tmp_path / "slow"}"\ndeadline = 30'
    for number in range(100):
        case.cluster.send(case.source, b"[[%d]]" % number, key=b"k")
    case.cluster.flush()
    async with working(case.spec(extra="[batch]\nrecords = 2")) as worker:
        await case.outcome(100)
        assert counted(case, worker, "rejoined_total") == 0
        assert counted(case, worker, "records_total") == 100
    assert [json.loads(record.value) for record in case.cluster.read(case.sink)] == [[[n]] for n in range(100)]


async def test_a_long_topic_does_not_fill_the_memory_while_the_service_is_away(
    case: Case, working: Callable[..., Any]
) -> None:
    case.service = f'address = "grpc://127.0.0.1:{nobody()}"'
    await fill(case.cluster, case.source, 3, range(5_000))
    async with working(case.spec(extra="[batch]\nrecords = 50")) as worker:
        await until(lambda: counted(case, worker, "waits_total") > 3 and counted(case, worker, "records_total") > 50)
        assert counted(case, worker, "records_total") <= 16 * 50


async def test_memory_is_bounded_by_bytes_too(case: Case, working: Callable[..., Any]) -> None:
    case.service = f'address = "grpc://127.0.0.1:{nobody()}"'
    for _ in range(100):
        case.cluster.send(case.source, b"x" * 1_000_000, key=b"k")
    case.cluster.flush()
    async with working(case.spec('format = "strData"')) as worker:
        await until(lambda: counted(case, worker, "waits_total") > 3)
        assert 0 < counted(case, worker, "records_total") <= 70


async def test_a_worker_taken_for_dead_writes_nothing_and_joins_anew(case: Case, paced: str, tmp_path: Path) -> None:
    case.service = paced
    spec, logs = case.file(extra="[batch]\nrecords = 32"), [tmp_path / "first.log", tmp_path / "second.log"]
    await fill(case.cluster, case.source, 3, range(20_000))
    with program(spec, logs[0]) as first:
        await until(lambda: case.cluster.size(case.sink) >= 2_000)
        os.kill(first.pid, signal.SIGSTOP)
        assert case.cluster.size(case.sink) < 20_000, "stopped too late to prove anything"
        with program(spec, logs[1]) as second:
            await until(lambda: case.cluster.committed(f"penstock-{case.name}", case.source) == 20_000)
            os.kill(first.pid, signal.SIGCONT)
            await until(lambda: "joins the group anew" in logs[0].read_text())
            await fill(case.cluster, case.source, 3, range(20_000, 30_000))
            await case.outcome(30_000)
            for worker in (first, second):
                worker.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(first.wait, 40) == 0
    numbers = answered(case.cluster, case.sink)
    assert len(numbers) == 30_000
    assert max(numbers.values()) == 1


@pytest.mark.parametrize("call", ["init_transactions", "begin_transaction"])
async def test_a_producer_that_never_returns_is_replaced(
    call: str,
    case: Case,
    working: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As librdkafka's have been seen to do; the first of a worker does it here."""
    over, seen = Event(), list[Producer]()

    class Stuck(Producer):
        def __getattribute__(self, name: str) -> Any:
            if name == call and seen in ([], [self]):
                seen[:] = [self]
                return lambda *_: over.wait()
            return super().__getattribute__(name)

    monkeypatch.setattr(pipe_outlet, "Producer", Stuck)
    monkeypatch.setattr(pipe_session, "_OPEN_WITHIN", 5.0)
    monkeypatch.setattr(pipe_session, "_GRACE", 5.0 - 2 * case.spec().kafka.session_timeout)
    await fill(case.cluster, case.source, 3, range(100))
    try:
        async with working(case.spec()) as worker:
            await case.outcome(100)
            # More than once where another one was not ready in 5 s, either: as on a machine with other work.
            assert counted(case, worker, "rejoined_total") >= 1
    finally:
        over.set()
    assert "after 5 s; joins the group anew" in caplog.text
    assert max(answered(case.cluster, case.sink).values()) == 1


async def test_a_producer_that_was_fenced_while_it_waited_for_the_broker_joins_anew(case: Case) -> None:
    """librdkafka tells it by an exception of `poll` where the report of a delivery has not come before."""

    class Fenced:
        def __len__(self) -> int:
            return 1

        def poll(self, _: float) -> int:
            raise KafkaException(KafkaError(KafkaError._FENCED))

    outlet = pipe_outlet.Outlet(case.spec())
    outlet._producer = Fenced()
    with pytest.raises(Rejoin, match="writing"):
        await outlet.acknowledged()


async def test_a_group_with_workers_of_the_other_engine_is_told(case: Case, working: Callable[..., Any]) -> None:
    case.engine = ENGINES["faust"]
    async with working(case.spec()):
        case.engine = ENGINES["pipe"]
        with pytest.raises(SetupError, match="has members that are no pipes"):
            await worker_of(case.spec()).run(lambda: None)


async def test_an_error_that_nobody_foresaw_ends_the_worker(
    case: Case, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def break_(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Processor, "process", break_)
    await fill(case.cluster, case.source, 3, range(10))
    with pytest.raises(ServiceError, match="the worker broke: ZeroDivisionError"):
        await worker_of(case.spec()).run(lambda: None)
    assert "an error that nobody foresaw" in caplog.text
    assert case.cluster.committed(f"penstock-{case.name}", case.source) == 0


def test_librdkafka_takes_the_settings_of_a_secured_broker(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "a secret")
    security = Security("SASL_SSL", "SCRAM-SHA-512", "me", "KAFKA_PASSWORD")
    stream = case.spec(
        extra='[kafka.security]\nprotocol = "SASL_PLAINTEXT"\nusername = "me"\npassword_env = "KAFKA_PASSWORD"'
    )
    assert stream.kafka.security.username == "me"
    consumer = Consumer(pipe_settings.consumer_settings(stream))
    consumer.close()
    settings = pipe_settings.producer_settings(stream, transactional_id="a", batch_bytes=900_000, alone=True)
    assert (settings["sasl.password"], settings["batch.num.messages"]) == ("a secret", 1)
    Producer(settings)
    tls = librdkafka_settings(Kafka(security=security))
    assert (tls["security.protocol"], tls["sasl.mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    Producer(tls)
