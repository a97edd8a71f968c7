"""grpc-go and grpc-java (Netty): programs of theirs call our service, and say of each call what came of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from penstock.proto import SetupError

if TYPE_CHECKING:
    from .conftest import Called

_HERE: Final = Path(__file__).parent
_TRIALS: Final = (
    "unary", "unknown", "broken", "unicode", "metadata", "compressed", "large", "deadline", "cancel", "streams",
    "health", "unary again",
)  # fmt: skip


@pytest.fixture(scope="session")
def go_client(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed")
    program = tmp_path_factory.mktemp("go") / "interop"
    # -p 2: compiling takes all cores otherwise, and other tests run beside.
    built = subprocess.run(
        [go, "build", "-p", "2", "-o", str(program), "."],
        cwd=_HERE / "go",
        capture_output=True,
        text=True,
        env={**os.environ, "GOFLAGS": "-mod=readonly"},
    )
    if built.returncode and "dial tcp" in built.stderr:
        pytest.skip("the modules cannot be fetched: no network")
    assert not built.returncode, built.stderr
    return [str(program)]


@pytest.fixture(scope="session")
def java_client(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    from penstock.deploy.artifacts import fetch
    from penstock.deploy.java import find_java

    compiler = shutil.which("javac")
    if compiler is None:
        pytest.skip("no Java development kit is installed")
    try:
        java = find_java(17)
        jars = fetch(_HERE / "java" / "jars.toml")
    except SetupError as error:
        pytest.skip(str(error))
    classes = tmp_path_factory.mktemp("java")
    source = _HERE / "java" / "Interop.java"
    subprocess.run([compiler, "-cp", f"{jars}/*", "-d", str(classes), str(source)], check=True)
    # C1 only: for half a minute of work the second compiler costs more than it brings.
    return [str(java.executable), "-XX:TieredStopAtLevel=1", "-cp", f"{classes}:{jars}/*", "Interop"]


@pytest.mark.parametrize("client", ["go_client", "java_client"])
def test_every_trial_of_a_foreign_client(called: Called, request: pytest.FixtureRequest, client: str) -> None:
    command = [*request.getfixturevalue(client), called.grpc, *([str(called.ca)] if called.ca else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == [f"{name}: ok" for name in _TRIALS], done.stderr[-2000:]
