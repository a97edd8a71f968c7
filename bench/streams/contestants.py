"""Who is measured, and how each is started: as its users would, with what its makers offer for this work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.streams.feeding import MODEL, Feed
from tests.peers import servers
from tests.peers.environments import environment
from tests.peers.programs import program

from penstock.deploy.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

_PROGRAMS = Path(__file__).with_name("programs")
_SPEC = """
name = "bench"
engine = "{engine}"
guarantee = "{guarantee}"
[source]
topic = "{source}"
format = "ndarray"
features = "x"
[service]
{service}
[sink]
topic = "{sink}"
format = "ndarray"
[kafka]
bootstrap = "{address}"
group = "{group}"
"""


@dataclass(frozen=True, slots=True)
class Task:
    """What a contestant is told.

    Attributes:
        address: of the broker.
        source: topic to read from its beginning.
        sink: topic for the answers.
        group: a name that nobody has used.
        model: the ONNX file.
        folder: its own, empty.
    """

    address: str
    source: str
    sink: str
    group: str
    model: Path
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"


class Running(NamedTuple):
    """The first process of the worker, and of the model's service where there is one."""

    worker: int
    service: int | None = None


@dataclass(frozen=True, slots=True)
class Contestant:
    """One of those that are compared.

    Attributes:
        name: in tables.
        says: how its makers, or the settings here, call what happens when it is killed.
        start: runs it.
        feed: what it gets of so many records.
        peer: its environment; empty for ours.
        starts_at_the_end: it reads only what comes once it runs.
    """

    name: str
    says: str
    start: Callable[[Task], AbstractContextManager[Running]]
    feed: Callable[[int], Feed]
    peer: str = ""
    starts_at_the_end: bool = False


@contextmanager
def _stream(task: Task, *, engine: str, guarantee: str) -> Iterator[Running]:
    with _worker(task, engine, guarantee, f'model = "{task.model}"') as pid:
        yield Running(pid)


@contextmanager
def _stream_and_service(task: Task) -> Iterator[Running]:
    with (
        servers.penstock(task.model, task.folder / "service.log") as service,
        _worker(task, "pipe", "exactly_once", f'address = "grpc://{service.grpc}"') as pid,
    ):
        yield Running(pid, service.group)


@contextmanager
def _worker(task: Task, engine: str, guarantee: str, service: str) -> Iterator[int]:
    spec = task.folder / "stream.toml"
    spec.write_text(
        _SPEC.format(
            engine=engine,
            guarantee=guarantee,
            service=service,
            source=task.source,
            sink=task.sink,
            address=task.address,
            group=task.group,
        )
    )
    with _run([sys.executable, "-m", "penstock.cli", "stream", "run", str(spec)], task) as pid:
        yield pid


@contextmanager
def _script(
    task: Task, file: str, *, peer: str = "", settings: dict[str, str], arguments: tuple[str, ...] = ()
) -> Iterator[Running]:
    python = str(environment(peer)) if peer else sys.executable
    with _run([python, str(_PROGRAMS / file), *arguments], task, settings) as pid:
        yield Running(pid)


@contextmanager
def _bytewax(task: Task, *, by: str) -> Iterator[Running]:
    # Without a folder for its snapshots it would begin at the first record again: no guarantee at all.
    python = str(environment("bytewax"))
    subprocess.run([python, "-m", "bytewax.recovery", str(task.folder), "1"], check=True)
    command = [python, "-m", "bytewax.run", "bytewax_flow:flow", "-r", str(task.folder), "-s", "1", "-b", "0"]
    with _run(command, task, {"BY": by, "PYTHONPATH": str(_PROGRAMS)}) as pid:
        yield Running(pid)


@contextmanager
def _mlserver(task: Task) -> Iterator[Running]:
    ports = {name: free_port() for name in ("http_port", "grpc_port", "metrics_port")}
    settings = {
        "host": "127.0.0.1",
        **ports,
        "debug": False,
        "parallel_workers": 0,  # with 1, its default, it is two to three times slower
        "kafka_enabled": True,
        "kafka_servers": task.address,
        "kafka_topic_input": task.source,
        "kafka_topic_output": task.sink,
    }
    model = {"name": MODEL, "implementation": "mlserver_runtime.Iris", "parameters": {"uri": str(task.model)}}
    (task.folder / "settings.json").write_text(json.dumps(settings))
    (task.folder / "model-settings.json").write_text(json.dumps(model))
    command = [str(environment("mlserver").with_name("mlserver")), "start", str(task.folder)]
    with _run(command, task, {"PYTHONPATH": str(_PROGRAMS)}) as pid:
        yield Running(pid)


@contextmanager
def _run(command: Sequence[str], task: Task, settings: dict[str, str] | None = None) -> Iterator[int]:
    ours = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    told = {"ADDRESS": task.address, "SOURCE": task.source, "SINK": task.sink, "GROUP": task.group}
    variables = ours | told | {"MODEL": str(task.model)} | (settings or {})
    with program(command, log=task.log, ready=lambda: True, folder=task.folder, variables=variables) as pid:
        yield pid


def _share(records: int, *, one_in: int = 1, least: int = 10_000, rows: int = 1) -> Feed:
    return Feed(max(records // one_in, min(records, least)), rows)


YARDSTICK = "a bare confluent-kafka loop"
PLAIN = "a plain Faust agent"
PIPE = "penstock pipe, exactly once"
REMOTE = "penstock pipe, exactly once, model behind gRPC"
PIPE_AT_LEAST = "penstock pipe, at least once"
FAUST = "penstock faust"
QUIX, BYTEWAX, BYTEWAX_BATCH, MLSERVER = "Quix Streams", "Bytewax", "Bytewax, by batch", "MLServer"
_BATCH = "2000"  # records in a transaction: the best of 256, 1,000 and 2,000
_EXACTLY_ONCE = partial(_stream, engine="pipe", guarantee="exactly_once")
_QUIX = {"GUARANTEE": "exactly-once", "COMMIT_EVERY": _BATCH}  # 500 to 2,000 are equally fast: it is bound by Python
_FAUST_OPTIONS = ("worker", "-l", "error")

# Fewer records where each takes longer, so that no measurement is much longer than the others.
ALL = (
    Contestant(YARDSTICK, "exactly once", partial(_script, file="bare.py", settings={"BATCH": _BATCH}), _share),
    Contestant(PIPE, "exactly once", _EXACTLY_ONCE, _share),
    Contestant(REMOTE, "exactly once", _stream_and_service, partial(_share, one_in=2)),
    Contestant(PIPE_AT_LEAST, "at least once", partial(_stream, engine="pipe", guarantee="at_least_once"), _share),
    Contestant(
        "penstock pipe, exactly once, 100 rows a record",
        "exactly once",
        _EXACTLY_ONCE,
        partial(_share, one_in=30, least=2000, rows=100),
    ),
    Contestant(
        FAUST, "at least once", partial(_stream, engine="faust", guarantee="at_least_once"), partial(_share, one_in=5)
    ),
    Contestant(
        PLAIN,
        "at least once",
        partial(_script, file="plain_faust.py", settings={}, arguments=_FAUST_OPTIONS),
        partial(_share, one_in=20),
    ),
    Contestant(
        QUIX,
        "exactly once",
        partial(_script, file="quix.py", peer="quixstreams", settings=_QUIX),
        partial(_share, one_in=6, least=20_000),
        peer="quixstreams",
    ),
    Contestant(BYTEWAX, "at least once", partial(_bytewax, by="record"), partial(_share, one_in=2), peer="bytewax"),
    Contestant(BYTEWAX_BATCH, "at least once", partial(_bytewax, by="batch"), _share, peer="bytewax"),
    Contestant(
        MLSERVER,
        "at most once",
        _mlserver,
        lambda records: Feed(max(1000, records // 60), is_v2=True),
        peer="mlserver",
        starts_at_the_end=True,
    ),
)
