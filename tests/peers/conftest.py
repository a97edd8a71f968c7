"""Servers and environments that the tests of this room share. One worker of xdist runs them all."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.peers import servers
from tests.peers.environments import NoPython, environment
from tests.peers.models import model_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.peers.servers import Server

    Script = Callable[..., Any]

_SCRIPTS = Path(__file__).with_name("scripts")


def _python(name: str) -> Path:
    try:
        return environment(name)
    except NoPython as reason:
        pytest.skip(str(reason))


def _script(peer: str, file: str) -> Script:
    """A function that sends its argument to the peer's script as JSON, and gives what the script answers."""
    python = _python(peer)

    def ask(question: Any) -> Any:
        command = [str(python), "-I", str(_SCRIPTS / file)]
        done = subprocess.run(command, input=json.dumps(question), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    return ask


@pytest.fixture(scope="session")
def seldon_client() -> Script:
    """Calls of seldon-core's own ``SeldonClient``."""
    return _script(servers.SELDON_CORE, "seldon_client.py")


@pytest.fixture(scope="session")
def seldon_protobuf() -> Script:
    """Messages read and written by seldon-core's own protobuf code."""
    return _script(servers.SELDON_CORE, "seldon_protobuf.py")


@pytest.fixture(scope="session")
def triton_client() -> Script:
    """Calls of NVIDIA's ``tritonclient``."""
    return _script("tritonclient", "triton_client.py")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with ``SeldonWrapper`` and iris.onnx."""
    return model_folder(tmp_path_factory.mktemp("peers") / "iris")


@pytest.fixture(scope="session")
def seldon_server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real seldon-core-microservice."""
    _python(servers.SELDON_CORE)
    with servers.seldon_core(folder, tmp_path_factory.mktemp("logs") / "seldon.log") as server:
        yield server


@pytest.fixture(scope="session")
def penstock_server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """``penstock serve`` with the folder's Python class, the same that seldon-core serves."""
    with servers.penstock(folder, tmp_path_factory.mktemp("logs") / "penstock.log") as server:
        yield server


@pytest.fixture(scope="session")
def penstock_onnx_server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """``penstock serve`` with the folder's ONNX file alone."""
    with servers.penstock(folder / "iris.onnx", tmp_path_factory.mktemp("logs") / "onnx.log") as server:
        yield server
