"""5,000 FlowFiles through InvokeModel while its Python worker, the service and NiFi itself are killed with SIGKILL."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.processors.group import Group, until

from penstock.deploy.nifi import NiFi
from penstock.deploy.nifi._workers import workers_of
from penstock.deploy.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

IRIS = Path(__file__).parents[3] / "shared" / "data" / "iris.onnx"
pytestmark = [
    pytest.mark.nifi,
    pytest.mark.xdist_group("nifi"),
    pytest.mark.timeout(600),
    pytest.mark.skipif(not IRIS.exists(), reason="../shared/data/iris.onnx is not here"),
]

FLOWFILES = 5000
BAD_EVERY = 50
NOT_JSON = "this is no ndarray"
ROWS = ["[[5.1,3.5,1.4,0.2]]", "[[5.9,3.0,4.2,1.5]]", "[[6.9,3.1,5.4,2.1]]"]  # one of each species, in their order
PATIENCE = 120.0  # seconds; the machine may be busy
DRAGGED = {"x": 1234.0, "y": 567.0}


class Service:
    """`penstock serve` on one port, to be killed and started again."""

    def __init__(self) -> None:
        self.port = free_port()
        self.start()

    def start(self) -> None:
        ports = ("--grpc-port", str(self.port), "--http-port", "0")
        command = (sys.executable, "-m", "penstock.cli", "serve", "--model", str(IRIS), *ports)
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout is not None
        assert re.search("grpc=", self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Flow(Group):
    """From a folder through InvokeModel with four tasks into a folder for each outcome."""

    def __init__(self, address: str, folder: Path) -> None:
        super().__init__(address, "kills")
        self.folder = folder

    def build(self, service: Service) -> None:
        self.source = self.add("GetFile", {"Input Directory": str(self.folder / "in"), "Batch Size": "500"})
        properties = {"Model name": "iris", "Input format": "ndarray", "Service address": f"127.0.0.1:{service.port}"}
        model = self.add("InvokeModel", properties, drop=["original"], tasks=4)
        answered = self.add("PutFile", {"Directory": str(self.folder / "success")}, drop=["success", "failure"])
        refused = self.add("PutFile", {"Directory": str(self.folder / "failure")}, drop=["success", "failure"])
        # Where its Python worker is gone, NiFi itself sends what comes to failure, without an error of InvokeModel's.
        judged = self.add("RouteOnAttribute", {"not judged": "${invokemodel.error.code:isEmpty()}"})
        self.connect(model, ["success"], answered)
        self.connect(model, ["failure"], judged)
        self.connect(judged, ["unmatched"], refused)
        self.connect(judged, ["not judged"], model)
        self.queue = self.connect(self.source, ["success"], model)
        self.retry = self.connect(model, ["retry"], model)
        self.others = (model, answered, refused, judged)

    def written(self, outcome: str) -> dict[str, str]:
        # PutFile writes to a name that begins with a dot, and renames.
        return {file.name: file.read_text() for file in (self.folder / outcome).glob("[!.]*")}

    def count(self) -> int:
        return sum(not file.name.startswith(".") for end in OUTCOMES for file in (self.folder / end).iterdir())


OUTCOMES = ("success", "failure")


@pytest.fixture
def service() -> Iterator[Service]:
    running = Service()
    yield running
    running.kill()


@pytest.fixture
def own_nifi(tmp_path: Path) -> Iterator[NiFi]:
    own = NiFi(tmp_path / "nifi")
    try:
        own.up(free_port())
        yield own
    finally:
        own.down()


def test_kills_of_worker_service_and_nifi_lose_nothing(own_nifi: NiFi, service: Service, tmp_path: Path) -> None:
    sent = {f"{number:05}": NOT_JSON if number % BAD_EVERY == 0 else ROWS[number % 3] for number in range(FLOWFILES)}
    for folder in ("in", *OUTCOMES):
        (tmp_path / folder).mkdir()
    for name, content in sent.items():
        (tmp_path / "in" / name).write_text(content)
    with Flow(own_nifi.address, tmp_path) as flow:
        flow.build(service)
        flow.run(flow.source)
        until(lambda: flow.queued(flow.queue) == FLOWFILES, "all are queued", PATIENCE)
        flow.stop(flow.source)
        flow.change(flow.source, position=DRAGGED, name="Dragged aside by hand")
        flow.run(*flow.others)
        kill_in_turn(own_nifi, service, flow)

        until(lambda: flow.count() == FLOWFILES, lambda: f"{flow.count()} are written", 2 * PATIENCE)
        answered, refused = flow.written("success"), flow.written("failure")
        assert answered.keys() | refused.keys() == sent.keys()
        assert not answered.keys() & refused.keys()
        assert refused == {name: content for name, content in sent.items() if content == NOT_JSON}
        assert {name: int(content[2]) for name, content in answered.items()} == {
            name: ROWS.index(content) for name, content in sent.items() if content != NOT_JSON
        }
        assert flow.queued(flow.queue) == flow.queued(flow.retry) == 0
        moved = flow.processor(flow.source)
        assert (moved["name"], moved["position"]) == ("Dragged aside by hand", DRAGGED)


def kill_in_turn(nifi: NiFi, service: Service, flow: Flow) -> None:
    more_come(flow)
    workers = workers_of(nifi.folder)
    assert workers
    for worker in workers:
        worker.kill()
    more_come(flow)

    service.kill()
    until(lambda: flow.queued(flow.retry) > 0, "some are to be asked again", PATIENCE)
    service.start()
    more_come(flow)

    address, process = nifi.address, nifi.process()
    assert process is not None
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    assert flow.count() < FLOWFILES
    nifi.up(int(address.rpartition(":")[2]))


def more_come(flow: Flow) -> None:
    before = flow.count()
    until(lambda: flow.count() > before + 500, lambda: f"{flow.count() - before} more", PATIENCE)
