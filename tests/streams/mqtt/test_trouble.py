"""What a service does when things go wrong: duplicates, kills, a broker or a model that is away."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from penstock.deploy.mqtt import broker
from penstock.proto import DeadlineExceeded, SetupError
from penstock.streams.mqtt import Client, Worker

from .conftest import listener, total, until, window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from penstock.deploy.mqtt import Broker

    from .conftest import Case, Serving

KILL_TENANTS, KILL_REQUESTS = 20, 100
# What a worker may have in hand: it is the most that its kill can double.
IN_FLIGHT = 64


async def test_the_same_request_is_answered_once(local: Broker, case: Case, serving: Serving) -> None:
    async with serving(case.settings()) as worker, listener(local.port) as somebody:
        await somebody.listen(case.replies("lstm"))
        for _ in range(3):
            await somebody.send(case.requests("lstm"), window(1.0), CorrelationData=b"1")
        await somebody.until(1)
        await somebody.send(case.requests("lstm"), window(1.0), CorrelationData=b"1")
        await somebody.send(case.requests("lstm"), window(2.0), CorrelationData=b"1")  # the same number, another thing
        await somebody.send(case.requests("lstm"), window(1.0))
        await somebody.send(case.requests("lstm"), window(1.0))  # without an identity each is a request
        await somebody.until(4)
        assert worker.metrics.totals()["duplicates"] == 3
    assert sorted(each["LSTM"] for each in somebody.payloads) == [total(1.0)] * 3 + [total(2.0)]


async def test_an_mqtt_3_client_has_its_identity_in_the_request(local: Broker, case: Case, serving: Serving) -> None:
    settings = case.settings(request={"id": "id"})
    client = case.client_settings(broker_service={"protocol": "3.1.1"}, id_field="id")
    named = json.dumps({"id": 7, **json.loads(window(1.0))}).encode()
    async with serving(settings) as worker, listener(local.port, version=4) as somebody, Client(client) as asking:
        await somebody.listen(case.replies("other"))
        for _ in range(3):
            await somebody.send(case.requests("other"), named)
        await somebody.send(case.requests("other"), b'{"id": 8}')
        await somebody.until(2)
        replies = await asyncio.gather(*(asking.ask(window(float(number))) for number in range(20)))
        assert worker.metrics.totals()["duplicates"] == 2
    assert somebody.payloads[0] == {"id": 7, "LSTM": total(1.0)}
    assert somebody.payloads[1]["id"] == 8
    assert somebody.payloads[1]["error"]["code"] == "MISSING_FIELD"
    assert [json.loads(reply.payload)["LSTM"] for reply in replies] == [total(float(n)) for n in range(20)]


async def test_only_so_many_answered_requests_are_remembered(local: Broker, case: Case, serving: Serving) -> None:
    async with serving(case.settings(remember=5)) as worker, listener(local.port) as somebody:
        await somebody.listen(case.replies("lstm"))
        for wanted, numbers in ((6, range(6)), (7, (0, 5))):
            for number in numbers:
                await somebody.send(case.requests("lstm"), window(float(number)), CorrelationData=b"%d" % number)
            await somebody.until(wanted)
        await until(lambda: worker.metrics.totals()["duplicates"] == 1)
    assert [each["LSTM"] - total(0.0) for each in somebody.payloads] == [0, 1, 2, 3, 4, 5, 0]


async def test_what_came_while_the_worker_was_away_is_answered(local: Broker, case: Case, serving: Serving) -> None:
    async with listener(local.port) as somebody:
        await somebody.listen(case.replies("lstm"))
        async with serving(case.settings()):
            pass
        for number in range(50):
            await somebody.send(case.requests("lstm"), window(float(number)))
        assert somebody.heard == []
        async with serving(case.settings()):
            await somebody.until(50)
    assert [each["LSTM"] - total(0.0) for each in somebody.payloads] == list(range(50))


async def test_the_broker_is_started_again(mosquitto: None, case: Case, serving: Serving) -> None:
    with broker() as own:
        here = case.at(own.port)
        settings = here.client_settings(deadline=3, attempts=10)
        async with serving(here.settings()) as worker, Client(settings) as client:
            before = await client.ask(window(1.0))
            own.down()
            asked = asyncio.create_task(client.ask(window(2.0)))
            own.up()
            assert (await asked).payload == b'{"LSTM": %s}' % str(total(2.0)).encode()
            own.kill()
            own.up()
            after = await asyncio.gather(*(client.ask(window(float(number))) for number in range(20)))
            assert worker.metrics.reconnects._value.get() >= 2
    assert json.loads(before.payload)["LSTM"] == total(1.0)
    assert [json.loads(reply.payload)["LSTM"] for reply in after] == [total(float(number)) for number in range(20)]


HELD = """
import time
from pathlib import Path
class SeldonWrapper:
    def predict(self, X, names=None):
        while Path(__file__).with_name("closed").exists():
            time.sleep(0.01)
        return X.sum(axis=1, keepdims=True)
"""


async def test_a_reply_that_the_broker_has_not_confirmed_is_sent_again(
    mosquitto: None, case: Case, tmp_path: Path
) -> None:
    """The connection goes while a request is being answered: the reply is published over the next one."""
    held = tmp_path / "held"
    held.mkdir()
    (held / "SeldonWrapper.py").write_text(HELD)
    with broker() as own:
        here = replace(case.at(own.port), model=held)
        worker, ready = Worker(here.settings()), asyncio.Event()
        task = asyncio.create_task(worker.run(ready.set))
        await asyncio.wait_for(ready.wait(), 30)
        async with listener(own.port, identifier="keeps", clean_start=True) as somebody:
            (held / "closed").touch()
            await somebody.send(here.requests("lstm"), window(1.0), CorrelationData=b"1")
            await until(lambda: worker.metrics.totals()["requests"] == 1)
        own.down()
        (held / "closed").unlink()
        await until(lambda: worker._hand != {} and None not in worker._hand.values())
        own.up()
        await until(lambda: worker._hand == {})
        assert worker.metrics.totals()["replies"] == 1
        async with listener(own.port) as somebody:
            await somebody.listen(here.replies("lstm"))
            await somebody.send(here.requests("lstm"), window(2.0))
            await somebody.until(1)
        worker.stop()
        await task
    assert somebody.payloads == [{"LSTM": total(2.0)}]


async def test_a_service_that_is_away_is_waited_for(
    local: Broker, case: Case, serving: Serving, model: Path, free_port: int
) -> None:
    from penstock.serving import Settings
    from penstock.serving.lifecycle import running

    address = f"grpc://127.0.0.1:{free_port}"
    settings = case.settings(model={"path": None, "address": address})
    at = Settings(model, grpc_port=free_port, http_port=0)
    async with running(at):
        pass
    async with listener(local.port) as somebody:
        await somebody.listen(case.replies("lstm"))
        async with running(at):
            worker_of = serving(settings)
            worker = await worker_of.__aenter__()
        await somebody.send(case.requests("lstm"), window(1.0))
        await until(lambda: worker.metrics.calls.waits._value.get() > 1)
        assert somebody.heard == []
        async with running(at):
            await somebody.until(1)
        await somebody.send(case.requests("lstm"), window(2.0))
        await until(lambda: worker.metrics.totals()["requests"] == 2)
        await worker_of.__aexit__(None, None, None)  # given back: not answered, and not acknowledged
        async with running(at), serving(settings):
            await somebody.until(2)
    assert somebody.payloads == [{"LSTM": total(1.0)}, {"LSTM": total(2.0)}]


async def test_a_stop_finishes_what_is_in_hand(local: Broker, case: Case, serving: Serving) -> None:
    async with listener(local.port) as somebody:
        await somebody.listen(case.replies("lstm"))
        async with serving(case.settings(batch={"wait": 0.5})) as worker:
            for number in range(40):
                await somebody.send(case.requests("lstm"), window(float(number)))
            await until(lambda: worker.metrics.totals()["requests"] > 0)
        taken = worker.metrics.totals()["requests"]
        await somebody.until(taken)
        async with serving(case.settings()) as second:
            await somebody.until(40)
            assert second.metrics.totals()["requests"] == 40 - taken
    assert [each["LSTM"] - total(0.0) for each in somebody.payloads] == list(range(40))


async def test_of_two_workers_with_one_name_the_older_ends(local: Broker, case: Case, serving: Serving) -> None:
    settings = case.settings()
    first = Worker(settings)
    task = asyncio.create_task(first.run(lambda: None))
    await until(lambda: first._link is not None)
    async with serving(settings) as second, listener(local.port) as somebody:
        with pytest.raises(SetupError, match=r"another (client|worker)"):
            await task
        await somebody.listen(case.replies("lstm"))
        await somebody.send(case.requests("lstm"), window())
        await somebody.until(1)
        assert second.metrics.totals()["requests"] == 1


async def test_no_broker_is_one_line_after_the_start_timeout(case: Case, free_port: int, serving: Serving) -> None:
    case = case.at(free_port)
    with pytest.raises(SetupError, match=f"no connection to 127.0.0.1:{free_port}"):
        async with serving(case.settings(broker_service={"start_timeout": 0.1})):
            pass
    with pytest.raises(SetupError, match="no broker"):
        async with Client(case.client_settings(broker_service={"start_timeout": 0.1})):
            pass


async def test_nobody_answers(local: Broker, case: Case) -> None:
    async with Client(case.client_settings(deadline=0.2, attempts=2)) as client:
        with pytest.raises(DeadlineExceeded, match="2 tries"):
            await client.ask(window())


@asynccontextmanager
async def process(case: Case, name: str) -> AsyncIterator[Callable[[], None]]:
    """A worker as a process, ready; gives what kills it."""
    command = [sys.executable, "-m", "penstock.cli", "mqtt", "serve", str(case.folder / "server.json"), "-w", name]
    worker = await asyncio.create_subprocess_exec(
        *command, stderr=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    assert worker.stderr is not None
    lines = []
    while True:
        lines.append(await asyncio.wait_for(worker.stderr.readline(), 60))
        assert lines[-1], b"".join(lines)
        if b"ready" in lines[-1]:
            break
    reading = asyncio.create_task(worker.stderr.read())
    try:
        yield worker.kill
    finally:
        if worker.returncode is None:
            worker.send_signal(signal.SIGTERM)
        await worker.wait()
        await reading


async def _answered(case: Case, port: int, tenant: str, started: asyncio.Event, done: list[str]) -> dict[bytes, int]:
    """Requests of one client that never asks twice; how often each was answered."""
    async with listener(port) as somebody:
        await somebody.listen(case.replies(tenant))
        await started.wait()
        for number in range(KILL_REQUESTS):
            await somebody.send(case.requests(tenant), window(float(number)), CorrelationData=b"%d" % number)
            done.append(tenant)
        await until(lambda: len(somebody.named) == KILL_REQUESTS, 120)
    found = somebody.by_correlation()
    for name, replies in found.items():
        assert all(each == {"LSTM": total(float(name))} for each in replies)
    return {name: len(replies) for name, replies in found.items()}


async def test_workers_are_killed(local: Broker, case: Case, record_property: Callable[[str, object], None]) -> None:
    """20 clients, 2,000 requests, three workers: one is killed for good, one comes back. No client ever asks twice."""
    case.server(in_flight=IN_FLIGHT)
    started, sent = asyncio.Event(), list[str]()
    async with process(case, "1"), process(case, "2") as kill_second, process(case, "3") as kill_third:
        clients = [
            asyncio.create_task(_answered(case, local.port, f"t{number}", started, sent))
            for number in range(KILL_TENANTS)
        ]
        started.set()
        await until(lambda: len(sent) >= KILL_TENANTS * KILL_REQUESTS // 5, 120)
        kill_third()
        await until(lambda: len(sent) >= KILL_TENANTS * KILL_REQUESTS // 2, 120)
        kill_second()
        async with process(case, "2"):
            counts = await asyncio.gather(*clients)
    assert sum(len(each) for each in counts) == KILL_TENANTS * KILL_REQUESTS
    doubled = sum(times - 1 for each in counts for times in each.values())
    assert doubled <= 2 * IN_FLIGHT
    record_property("reported", f"{KILL_TENANTS * KILL_REQUESTS:,} requests answered, {doubled} of them twice")
