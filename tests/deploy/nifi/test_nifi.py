"""A real NiFi, fetched, put together and started: one that stays, and one that ends with its user.

Each start takes 20 s and more, so the tests of the one that stays build on each other, in this order.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import zlib
from contextlib import suppress
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil
import pytest

from penstock.deploy.nifi import NiFi
from penstock.deploy.nifi._workers import workers_of
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import RunningNiFi

pytestmark = [pytest.mark.nifi, pytest.mark.xdist_group("nifi"), pytest.mark.timeout(600)]

BORROW = """
import sys, time
from contextlib import suppress
from pathlib import Path
from penstock.deploy.nifi import nifi
with nifi(Path(sys.argv[1])) as running:
    print(running.process().pid, flush=True)
    time.sleep(600)
"""
UP = "import sys; from pathlib import Path; from penstock.deploy.nifi import NiFi; NiFi(Path(sys.argv[1])).up(0)"


def penstock(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "penstock.cli", "nifi", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=500)


@pytest.fixture(scope="module")
def staying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NiFi]:
    """A NiFi started by a command that has ended; its folder has a name that needs care."""
    folder = tmp_path_factory.mktemp("deploy") / "a NiFi & more, #1 %20"
    started = penstock("up", "--port", "0", "--output", "json", "--data", str(folder))
    assert started.returncode == 0, started.stderr
    found = json.loads(started.stdout)
    assert (found["state"], found["data"]) == ("running", str(folder))
    assert "starting NiFi on 127.0.0.1" in started.stderr
    nifi = NiFi(folder)
    yield nifi
    nifi.down()


def ask(address: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """The answer of NiFi's REST API."""
    connection = HTTPConnection(urlsplit(address).netloc, timeout=30)
    try:
        content = json.dumps(body) if body else None
        connection.request("POST" if body else "GET", f"/nifi-api{path}", content, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status in (200, 201), answer.read()
        return json.load(answer)
    finally:
        connection.close()


def root_of(address: str) -> str:
    return str(ask(address, "/flow/process-groups/root")["processGroupFlow"]["id"])


def groups_of(address: str) -> set[str]:
    groups = ask(address, "/flow/process-groups/root")["processGroupFlow"]["flow"]["processGroups"]
    return {group["component"]["name"] for group in groups}


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


def flow_of(folder: Path) -> str:
    """What NiFi has written down of its canvas; nothing while it writes."""
    try:
        return gzip.decompress((folder / "conf" / "flow.json.gz").read_bytes()).decode()
    except (OSError, EOFError, zlib.error):
        return ""


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def processes_in(folder: Path) -> list[psutil.Process]:
    """NiFi itself, its keeper, and its Python workers."""
    mark = f"-Dpenstock.nifi={folder}"
    ours = [p for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or ())]
    return ours + workers_of(folder)


def test_status_knows_a_nifi_that_another_process_started(staying: NiFi) -> None:
    found = staying.status()
    assert (found.state, found.version, found.data) == ("running", "2.3.0", staying.folder)
    assert found.pid is not None
    assert 0 < found.uptime < time.time() - psutil.Process(found.pid).create_time() + 1
    assert found.memory > 100 << 20
    assert found.address == staying.address
    shown = penstock("status", "--data", str(staying.folder))
    assert (shown.returncode, f"canvas   {found.address}/nifi\n" in shown.stdout) == (0, True)


def test_our_processors_are_on_its_list(staying: NiFi) -> None:
    types = ask(staying.address, "/flow/processor-types")["processorTypes"]
    names = {entry["type"].rpartition(".")[2] for entry in types}
    assert {"InvokeModel", "GetFile", "UpdateAttribute", "HandleHttpRequest"} <= names


def test_it_listens_on_this_machine_only(staying: NiFi) -> None:
    listening = {
        connection.laddr.ip
        for process in processes_in(staying.folder)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


def test_it_tells_nobody_its_key(staying: NiFi) -> None:
    key = (staying.folder / "conf" / "sensitive.key").read_text()
    assert len(key) >= 32
    logs = [*(staying.folder / "logs").iterdir(), staying.folder / "console.log"]
    assert not [log for log in logs if key in log.read_text(errors="replace")]
    assert not [process for process in processes_in(staying.folder) if key in " ".join(process.cmdline())]
    assert stat.S_IMODE((staying.folder / "conf" / "sensitive.key").stat().st_mode) == 0o600


def test_up_again_leaves_it_as_it_is(staying: NiFi) -> None:
    before = staying.status()
    assert staying.up().pid == before.pid
    assert staying.up(0).address == before.address
    with pytest.raises(SetupError, match=r"already runs at 127\.0\.0\.1:\d+, not at port 29999") as caught:
        staying.up(29999)
    assert caught.value.code == "NIFI_RUNS"


def _hang_up(stranger: socket.socket) -> None:
    with suppress(OSError):  # closed before anybody has come
        stranger.accept()[0].close()


def test_a_stranger_on_the_port_is_not_taken_for_it(staying: NiFi, nifi: RunningNiFi) -> None:
    """Another NiFi, or something that hangs up, on the port that the record names."""
    record = json.loads((staying.folder / "nifi.json").read_text())
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        threading.Thread(target=_hang_up, args=(stranger,), daemon=True).start()
        for port in (urlsplit(nifi.address).port, stranger.getsockname()[1]):
            (staying.folder / "nifi.json").write_text(json.dumps(record | {"port": port}))
            assert staying.status().state == "not answering"
    (staying.folder / "nifi.json").write_text(json.dumps(record))
    assert staying.status().state == "running"


def test_another_process_with_its_number_is_left_alone(staying: NiFi) -> None:
    record = json.loads((staying.folder / "nifi.json").read_text())
    ours = psutil.Process()
    for lie in ({"pid": ours.pid}, {"pid": ours.pid, "created": ours.create_time()}, {"created": 0.0}):
        (staying.folder / "nifi.json").write_text(json.dumps(record | lie))
        assert staying.status().state == "died"
        assert staying.process() is None
    (staying.folder / "nifi.json").write_text(json.dumps(record))


def test_two_side_by_side_are_two(staying: NiFi, nifi: RunningNiFi) -> None:
    assert root_of(staying.address) != root_of(nifi.address)


def test_a_killed_one_is_noticed_its_workers_end_and_its_flow_is_kept(staying: NiFi) -> None:
    root = root_of(staying.address)
    group = {"revision": {"version": 0}, "component": {"name": "kept", "position": {"x": 0, "y": 0}}}
    ask(staying.address, f"/process-groups/{root}/process-groups", group)
    until(lambda: '"kept"' in flow_of(staying.folder))  # NiFi writes it down a little later
    pid, workers = staying.status().pid, workers_of(staying.folder)
    assert pid is not None
    assert workers
    os.kill(pid, signal.SIGKILL)
    until(lambda: gone(pid))
    assert penstock("status", "--data", str(staying.folder)).stdout.split()[:2] == ["state", "died"]
    with pytest.raises(SetupError, match="is not running"):
        _ = staying.address

    started = penstock("up", "--port", "0", "--data", str(staying.folder))
    assert started.returncode == 0, started.stderr
    assert [worker for worker in workers if not gone(worker.pid)] == []
    assert "kept" in groups_of(staying.address)


def test_down_leaves_nothing_but_files(staying: NiFi) -> None:
    lines = penstock("logs", "--lines", "2", "--data", str(staying.folder)).stdout.splitlines()
    assert len(lines) == 2
    down = penstock("down", "--data", str(staying.folder))
    assert (down.returncode, down.stdout.split()[:2]) == (0, ["state", "stopped"])
    assert processes_in(staying.folder) == []
    stopped = penstock("status", "--output", "json", "--data", str(staying.folder))
    assert (stopped.returncode, json.loads(stopped.stdout)["state"]) == (3, "stopped")
    assert staying.down().state == "stopped"


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = penstock("up", "--port", str(port), "--data", str(tmp_path / "n"))
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"error: port {port} on 127.0.0.1 is taken by another program.")
    assert NiFi(tmp_path / "n").status().state == "stopped"


def test_a_start_that_fails_late_shows_why_and_leaves_nothing(tmp_path: Path) -> None:
    """The port is taken between our look and NiFi's: by then its Python workers are there."""
    folder = tmp_path / "n"
    (folder / "conf").mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (folder / "conf" / "own.properties").write_text(f"nifi.web.http.port={taken.getsockname()[1]}\n")
        with pytest.raises(SetupError, match=r"(?s)ended while it started\. .*Address already in use") as caught:
            NiFi(folder).up(0)
    assert caught.value.code == "NIFI_FAILED"
    assert processes_in(folder) == []
    assert NiFi(folder).status().state == "stopped"


def test_properties_that_nifi_cannot_use_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "n"
    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "own.properties").write_text("nifi.nar.working.directory=/dev/null/nowhere\n")
    with pytest.raises(SetupError, match=r"(?s)ended while it started.*/dev/null/nowhere"):
        NiFi(folder).up(0)
    assert processes_in(folder) == []


def test_a_start_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    folder = tmp_path / "n"
    with pytest.raises(SetupError, match=r"does not answer at 127\.0\.0\.1:\d+ after 0\.05 s"):
        NiFi(folder).up(0, timeout=0.05)
    assert processes_in(folder) == []


def test_ctrl_c_ends_a_start(tmp_path: Path) -> None:
    folder = tmp_path / "n"
    with subprocess.Popen([sys.executable, "-c", UP, str(folder)], stderr=subprocess.DEVNULL) as process:
        until(lambda: (folder / "nifi.json").exists())
        process.send_signal(signal.SIGINT)
        assert process.wait(60) != 0
    assert processes_in(folder) == []


def test_a_borrowed_one_ends_when_its_user_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    with subprocess.Popen([sys.executable, "-c", BORROW, str(folder)], stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout is not None
        assert user.stdout.readline()
        assert workers_of(folder / "nifi")
        user.kill()
    until(lambda: not processes_in(folder / "nifi"))
    until(lambda: not (folder / "nifi").exists())
