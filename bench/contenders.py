"""Who is compared: how each is started, with the settings that suit it best, and the ways to ask it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench import trees
from bench.ways import Way
from tests.peers.environments import environment
from tests.peers.programs import program
from tests.peers.servers import Server

from penstock.deploy.ports import free_port
from penstock.proto import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_PROGRAMS = Path(__file__).with_name("peers")
_WRAPPER = Path(__file__).parent / "model" / "SeldonWrapper.py"
_LOOPBACK = Path(__file__).parents[1] / "tests" / "peers" / "loopback.py"
_SECONDS = 120  # that a start may take; Ray's took 75 on two cores
REFERENCE, OURS = "seldon-core", "penstock"


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start one: a command, and what it finds around it.

    Attributes:
        command: and its arguments.
        variables: added to the environment.
        starts_on_all_cores: has its one core only from the first answer on.
    """

    command: Sequence[str]
    variables: Mapping[str, str]
    starts_on_all_cores: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """What a contender is given.

    Attributes:
        model: the ONNX file, ``model.onnx``, with SeldonWrapper.py beside it.
        folder: its own, empty.
        grpc: a free port.
        http: another.
        options: more of ``penstock serve``.
    """

    model: Path
    folder: Path
    grpc: int
    http: int
    options: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Contender:
    """One of those that are compared.

    Attributes:
        name: as in the results.
        launch: how it is started.
        ways: for each work, the ways to ask it.
        peer: its environment; ours where empty.
        packages: whose versions are told.
        says: how it is set up, where that is worth a word.
        shown_as: its name in the results, where another process answers for it.
    """

    name: str
    launch: Callable[[Site], Launch]
    ways: Mapping[str, Sequence[Way]]
    peer: str = ""
    packages: Sequence[str] = ()
    says: str = ""
    shown_as: str = ""

    @property
    def label(self) -> str:
        return self.shown_as or self.name

    def ready(self) -> None:
        """Its environment built, which takes a while the first time."""
        if self.peer:
            _python(self.peer)


@contextmanager
def started(launch: Launch, site: Site, answers: Callable[[Server], bool], prefix: Sequence[str]) -> Iterator[Server]:
    """A process of its own, once ``answers`` says so; its log is ``log`` in its folder.

    Raises:
        DidNotStart: it did not.
    """
    server = Server(f"127.0.0.1:{site.grpc}", f"http://127.0.0.1:{site.http}", 0)
    command = [*launch.command] if launch.starts_on_all_cores else [*prefix, *launch.command]
    variables = {**_clean(), **launch.variables}
    log = site.folder / "log"
    with program(
        command, log=log, ready=partial(answers, server), folder=site.folder, variables=variables, seconds=_SECONDS
    ) as group:
        if launch.starts_on_all_cores and prefix:
            trees.pin(group, int(prefix[-1]))
        try:
            yield Server(server.grpc, server.rest, group)
        finally:
            strays = trees.processes(group)
    # Most end with their group; BentoML's and Ray's workers have made one of their own.
    trees.end(strays)


def site(model: Path, folder: Path, options: Sequence[str] = ()) -> Site:
    """A place for one start."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return Site(model, folder, free_port(), free_port(), options)


def _clean() -> dict[str, str]:
    """Our environment without what would reach into another Python's."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


@cache
def _python(peer: str) -> str:
    return str(environment(peer))


def _penstock(model: Callable[[Site], Path], *more: str) -> Callable[[Site], Launch]:
    def launch(at: Site) -> Launch:
        serve = [sys.executable, "-m", "penstock.cli", "serve", "--model", str(model(at)), "--name", "model"]
        ports = ["--grpc-port", str(at.grpc), "--http-port", str(at.http)]
        return Launch([*serve, *ports, *more, *at.options], {})

    return launch


def _seldon(peer: str) -> Callable[[Site], Launch]:
    def launch(at: Site) -> Launch:
        ports = ["--http-port", str(at.http), "--grpc-port", str(at.grpc), "--metrics-port", str(free_port())]
        command = [_python(peer), str(_LOOPBACK), "SeldonWrapper", "--service-type", "MODEL", *ports]
        return Launch(command, {"PYTHONPATH": str(at.model.parent), "SELDON_LOG_LEVEL": "WARNING"})

    return launch


def _mlserver(at: Site) -> Launch:
    settings = {"host": "127.0.0.1", "http_port": at.http, "grpc_port": at.grpc, "metrics_endpoint": None}
    settings |= {"parallel_workers": 0, "debug": False}
    model = {"name": "model", "implementation": "mlserver_runtime.OnnxRuntime", "parameters": {"uri": str(at.model)}}
    (at.folder / "settings.json").write_text(json.dumps(settings))
    (at.folder / "model-settings.json").write_text(json.dumps(model))
    command = str(Path(_python("mlserver")).with_name("mlserver"))
    return Launch([command, "start", str(at.folder)], {"PYTHONPATH": str(_PROGRAMS)})


def _kserve(at: Site) -> Launch:
    return Launch(
        [_python("kserve"), str(_PROGRAMS / "kserve_server.py"), str(at.model), str(at.grpc), str(at.http)], {}
    )


def _pytriton(at: Site) -> Launch:
    python = _python("pytriton")
    ask = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'), sysconfig.get_config_var('INSTSONAME'))"
    folder, library = subprocess.check_output([python, "-c", ask], text=True).split()
    if not library.startswith("libpython3.12.so") or not (Path(folder) / library).exists():
        raise SetupError(
            f"PyTriton's server needs libpython3.12.so; this Python was built without ({folder}/{library})"
        )
    command = [python, str(_PROGRAMS / "pytriton_server.py"), str(at.model), str(at.grpc), str(at.http)]
    return Launch(command, {"LD_LIBRARY_PATH": folder})


def _bentoml(at: Site) -> Launch:
    command = [str(Path(_python("bentoml")).with_name("bentoml")), "serve", "--working-dir", str(_PROGRAMS)]
    command += ["bentoml_service:Onnx", "--host", "127.0.0.1", "--port", str(at.http)]
    variables = {"MODEL": str(at.model), "BENTOML_HOME": str(at.folder), "BENTOML_DO_NOT_TRACK": "true"}
    return Launch(command, variables)


def _litserve(at: Site) -> Launch:
    return Launch([_python("litserve"), str(_PROGRAMS / "litserve_server.py"), str(at.model), str(at.http)], {})


def _ray(at: Site) -> Launch:
    # Its sockets' paths have to be short.
    command = [_python("ray"), str(_PROGRAMS / "ray_server.py"), str(at.model), str(at.http), str(at.folder)]
    variables = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    # Below `uv run` its workers would be run by uv as well, in a copy of the folder, which has no project.
    variables["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    # One of its parts gives up when another is not there within 15 s, and on one core it is not.
    return Launch(command, variables | {"RAY_raylet_start_wait_time_s": str(_SECONDS)}, starts_on_all_cores=True)


_SMALL = ("W1c1", "W1c64", "W2", "W3")
_ALL = (*_SMALL, "W4")


def _ways(spec: str) -> dict[str, list[Way]]:
    """``grpc/v2/raw: W1c1 W4`` in lines."""
    found: dict[str, list[Way]] = {}
    for line in filter(None, spec.splitlines()):
        way, works = line.split(":")
        door, protocol, encoding = way.split("/")
        for work in {"all": _ALL, "small": _SMALL}.get(works.strip(), works.split()):
            found.setdefault(work, []).append(Way(door.strip(), protocol, encoding))
    return found


_SELDON_WAYS = """
grpc/seldon/tensor: all
grpc/seldon/ndarray: W1c64 W2 W4
rest/seldon/ndarray: all
rest/seldon/tensor: W4
"""
_BYTES = """
grpc/seldon/binData: W4
rest/seldon/binData: W4
"""
_V2 = """
grpc/v2/raw: all
grpc/v2/contents: W4
rest/v2/json: all
"""
_V2_BINARY = "rest/v2/binary: W1c64 W2 W4"
_OWN = "rest/own/json: all"

ALL = (
    Contender(
        REFERENCE,
        _seldon("seldon-core-1.18.2"),
        _ways(_SELDON_WAYS + _BYTES),
        "seldon-core-1.18.2",
        ("seldon-core", "grpcio", "gunicorn", "flask", "onnxruntime", "numpy", "protobuf"),
        "its own default settings: one gunicorn worker, one gRPC process with one thread",
    ),
    Contender(
        OURS,
        _penstock(lambda at: at.model),
        _ways(_SELDON_WAYS + _V2 + _V2_BINARY),
        "",
        ("penstock", "grpcio", "onnxruntime", "numpy", "protobuf", "orjson", "httptools", "uvloop", "hpack"),
    ),
    # An ONNX file alone has no use for bytes; the class that seldon-core has takes them.
    Contender("penstock, class", _penstock(lambda at: at.model.parent), _ways(_BYTES), shown_as=OURS),
    Contender(
        "penstock, grpcio",
        _penstock(lambda at: at.model, "--grpc-engine", "grpcio"),
        _ways("grpc/seldon/tensor: W1c1 W1c64"),
        says="grpcio's server instead of our own door",
    ),
    Contender(
        "seldon-core 1.19",
        _seldon("seldon-core-1.19.0"),
        _ways("grpc/seldon/tensor: W1c1 W1c64 W2 W4\ngrpc/seldon/ndarray: W4\nrest/seldon/ndarray: W1c1 W1c64 W2 W4"),
        "seldon-core-1.19.0",
        ("seldon-core", "grpcio", "gunicorn", "flask", "onnxruntime", "numpy", "protobuf"),
        "the newest one, on Python 3.12, with a protobuf in C",
    ),
    Contender(
        "mlserver",
        _mlserver,
        _ways(_V2),
        "mlserver",
        ("mlserver", "grpcio", "fastapi", "onnxruntime", "numpy", "protobuf"),
        "parallel_workers = 0, which is its fastest setting here; no adaptive batching, which makes each work slower",
    ),
    Contender(
        "kserve",
        _kserve,
        _ways(_V2.replace("rest/v2/json: all", "rest/v1/ndarray: all\nrest/v2/json: W4") + "rest/v2/binary: W2 W4"),
        "kserve",
        ("kserve", "grpcio", "fastapi", "onnxruntime", "numpy", "protobuf"),
        "one worker, no access log",
    ),
    Contender(
        "pytriton",
        _pytriton,
        _ways("grpc/v2/raw: all\ngrpc/v2/contents: W4\nrest/v2/json: small\n" + _V2_BINARY),
        "pytriton",
        ("nvidia-pytriton", "onnxruntime", "numpy"),
        "its batcher with its default settings",
    ),
    Contender("bentoml", _bentoml, _ways(_OWN), "bentoml", ("bentoml", "starlette", "onnxruntime"), "one worker"),
    Contender(
        "litserve",
        _litserve,
        _ways(_OWN),
        "litserve",
        ("litserve", "fastapi", "onnxruntime"),
        "one worker, its fast queue",
    ),
    Contender(
        "ray-serve",
        _ray,
        _ways("rest/own/json: small\nrest/own/binary: W4"),
        "ray",
        ("ray", "uvicorn", "onnxruntime"),
        "one replica, no dashboard, orjson instead of its own JSON; it starts on both cores, and has one from then on",
    ),
)
SHORT = (REFERENCE, OURS, "penstock, class")
