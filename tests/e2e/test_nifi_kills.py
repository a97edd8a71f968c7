"""5,000 FlowFiles through InvokeModel while its Python worker, the service and NiFi itself are killed with SIGKILL."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from penstock.deploy.canvas import Connection
from penstock.deploy.nifi import NiFi
from penstock.deploy.ports import free_port
from penstock.proto import PenstockError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psutil

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


class Flow:
    """From a folder through InvokeModel with four tasks into a folder for each outcome; made as a canvas makes it."""

    def __init__(self, canvas: Connection, folder: Path, service: Service) -> None:
        self.canvas, self.folder = canvas, folder
        root = canvas.get("/process-groups/root")["id"]
        self.group = self.make(f"/process-groups/{root}/process-groups", name="kills")["id"]
        self.source = self.add("GetFile", {"Input Directory": str(folder / "in"), "Batch Size": "500"})
        properties = {"Model name": "iris", "Input format": "ndarray", "Service address": f"127.0.0.1:{service.port}"}
        self.model = self.add("InvokeModel", properties, ended=["original"], tasks=4)
        answered = self.add("PutFile", {"Directory": str(folder / "success")}, ended=["success", "failure"])
        refused = self.add("PutFile", {"Directory": str(folder / "failure")}, ended=["success", "failure"])
        # Where its Python worker is gone, NiFi itself sends what comes to failure, without an error of InvokeModel's.
        judged = self.add("RouteOnAttribute", {"not judged": "${invokemodel.error.code:isEmpty()}"})
        self.connect(self.model, answered, "success")
        self.connect(self.model, judged, "failure")
        self.connect(judged, refused, "unmatched")
        self.connect(judged, self.model, "not judged")
        self.queue = self.connect(self.source, self.model, "success")
        self.retry = self.connect(self.model, self.model, "retry")

    def make(self, path: str, **component: Any) -> Any:
        return self.canvas.post(path, {"revision": {"version": 0}, "component": component})

    def add(self, kind: str, properties: dict[str, str], *, ended: Any = (), tasks: int = 1) -> str:
        offered = self.canvas.get("/flow/processor-types")["processorTypes"]
        found = next(entry for entry in offered if entry["type"].rpartition(".")[2] == kind)
        made = self.make(f"/process-groups/{self.group}/processors", type=found["type"], bundle=found["bundle"])["id"]
        eventually(lambda: self.canvas.get(f"/processors/{made}")["component"]["config"]["descriptors"])
        config = {
            "properties": properties,
            "autoTerminatedRelationships": [*ended],
            "concurrentlySchedulableTaskCount": tasks,
            "penaltyDuration": "1 sec",
            "yieldDuration": "1 sec",
        }
        self.change(made, config=config)
        return str(made)

    def change(self, processor: str, **component: Any) -> None:
        revision = self.canvas.get(f"/processors/{processor}")["revision"]
        body = {"revision": revision, "component": {"id": processor, **component}}
        self.canvas.put(f"/processors/{processor}", body)

    def connect(self, source: str, destination: str, relationship: str) -> str:
        ends = {
            name: {"id": end, "groupId": self.group, "type": "PROCESSOR"}
            for name, end in (("source", source), ("destination", destination))
        }
        path = f"/process-groups/{self.group}/connections"
        return str(self.make(path, **ends, selectedRelationships=[relationship])["id"])

    def run(self, processor: str, state: str = "RUNNING") -> None:
        revision = self.canvas.get(f"/processors/{processor}")["revision"]
        self.canvas.put(f"/processors/{processor}/run-status", {"revision": revision, "state": state})

    def start(self, processor: str) -> None:
        eventually(lambda: self.canvas.get(f"/processors/{processor}")["component"]["validationStatus"] == "VALID")
        self.run(processor)

    def stop(self, processor: str) -> None:
        self.run(processor, "STOPPED")
        eventually(
            lambda: self.canvas.get(f"/processors/{processor}")["status"]["aggregateSnapshot"]["activeThreadCount"] == 0
        )

    def queued(self, connection: str) -> int:
        status = self.canvas.get(f"/flow/connections/{connection}/status")["connectionStatus"]
        return int(status["aggregateSnapshot"]["flowFilesQueued"])

    def processors(self) -> list[Any]:
        return list(self.canvas.get(f"/process-groups/{self.group}/processors")["processors"])

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
    address = own_nifi.address
    flow = Flow(Connection(address), tmp_path, service)
    flow.run(flow.source)
    eventually(lambda: flow.queued(flow.queue) == FLOWFILES)
    flow.stop(flow.source)
    flow.change(flow.source, position=DRAGGED, name="Dragged aside by hand")
    for processor in flow.processors():
        if processor["id"] != flow.source:
            flow.start(processor["id"])

    eventually(lambda: flow.count() > 500)
    for worker in workers(own_nifi):
        worker.kill()
    after = flow.count()
    eventually(lambda: flow.count() > after + 500)

    service.kill()
    eventually(lambda: flow.queued(flow.retry) > 0)
    service.start()
    after = flow.count()
    eventually(lambda: flow.count() > after + 500)

    process = own_nifi.process()
    assert process is not None
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    assert flow.count() < FLOWFILES
    own_nifi.up(int(address.rpartition(":")[2]))

    eventually(lambda: flow.count() == FLOWFILES, seconds=240)
    answered, refused = flow.written("success"), flow.written("failure")
    assert answered.keys() | refused.keys() == sent.keys()
    assert not answered.keys() & refused.keys()
    assert refused == {name: content for name, content in sent.items() if content == NOT_JSON}
    assert {name: int(content[2]) for name, content in answered.items()} == {
        name: ROWS.index(content) for name, content in sent.items() if content != NOT_JSON
    }
    assert flow.queued(flow.queue) == flow.queued(flow.retry) == 0
    moved = next(entry["component"] for entry in flow.processors() if entry["id"] == flow.source)
    assert (moved["name"], moved["position"]) == ("Dragged aside by hand", DRAGGED)


def workers(nifi: NiFi) -> list[psutil.Process]:
    process = nifi.process()
    assert process is not None
    found = [child for child in process.children(recursive=True) if "Controller.py" in " ".join(child.cmdline())]
    assert found
    return found


def eventually(check: Callable[[], Any], *, seconds: float = 120.0) -> None:
    """Wait until ``check`` holds; NiFi may be away meanwhile."""
    until = time.monotonic() + seconds
    while True:
        try:
            if check():
                return
        except PenstockError:
            pass
        assert time.monotonic() < until
        time.sleep(0.2)
