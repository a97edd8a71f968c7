"""NARs uploaded to a real NiFi."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from penstock.deploy.canvas import Connection
from penstock.deploy.nar import build
from penstock.deploy.nifi import install
from penstock.proto.errors import RequestError, SetupError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import RunningNiFi

PROCESSOR = """
from nifiapi.flowfiletransform import FlowFileTransform, FlowFileTransformResult

class NAME(FlowFileTransform):
    class Java:
        implements = ["org.apache.nifi.python.processor.FlowFileTransform"]

    class ProcessorDetails:
        version = "1.0"
        description = "DESCRIPTION"

    def __init__(self, **kwargs):
        super().__init__()

    def transform(self, context, flowfile):
        return FlowFileTransformResult("success")
"""


def write_nar(path: Path, name: str, description: str) -> Path:
    """A NAR with one Python processor, which is called as its artifact."""
    manifest = f"Manifest-Version: 1.0\r\nNar-Id: {name}-nar\r\nNar-Group: org.example\r\nNar-Version: 1.0\r\n\r\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("META-INF/")
        archive.writestr("META-INF/MANIFEST.MF", manifest)  # NiFi wants it at the beginning
        for folder in ("NAR-INF/", "NAR-INF/bundled-dependencies/"):
            archive.mkdir(folder)
        archive.writestr(f"{name}.py", PROCESSOR.replace("NAME", name).replace("DESCRIPTION", description))
    return path


@pytest.fixture
def connection(nifi: RunningNiFi) -> Iterator[Connection]:
    """Without the NARs of ours afterwards."""
    made = Connection(nifi.address)
    yield made
    for entry in made.get("/controller/nar-manager/nars")["narSummaries"]:
        summary = entry["narSummary"]
        if summary["coordinate"]["group"] == "org.example":
            made.delete(f"/controller/nar-manager/nars/{summary['identifier']}", force="true")


def described(connection: Connection, name: str) -> list[Any]:
    types = connection.get("/flow/processor-types")["processorTypes"]
    return [entry["description"] for entry in types if entry["type"].rpartition(".")[2] == name]


@pytest.mark.nifi
@pytest.mark.xdist_group("nifi")
def test_a_nar_is_offered_when_the_command_ends_and_a_newer_build_replaces_it(
    connection: Connection, tmp_path: Path
) -> None:
    name = f"Installed{uuid4().hex[:8]}"
    nar = write_nar(tmp_path / f"{name}-1.0.nar", name, "the first")
    command = [sys.executable, "-m", "penstock.cli", "nifi", "install", str(nar), "--address", connection.address]
    result = subprocess.run([*command, "--output", "json"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    expected = {"address": connection.address, "nar": f"org.example:{name}-nar:1.0", "processors": [name]}
    assert json.loads(result.stdout) == expected
    assert described(connection, name) == ["the first"]
    write_nar(nar, name, "the second")
    assert install(connection, nar).processors == (name,)
    assert described(connection, name) == ["the second"]


@pytest.mark.nifi
@pytest.mark.xdist_group("nifi")
def test_what_the_local_nifi_has_already_is_left_as_it_is(connection: Connection, tmp_path: Path) -> None:
    before = connection.get("/controller/nar-manager/nars")
    done = install(connection, build(tmp_path))
    assert "InvokeModel" in done.processors
    if connection.get("/controller/nar-manager/nars") == before:
        assert done.nar == f"org.apache.nifi:python-extensions:{version('penstock')}"


@pytest.mark.nifi
@pytest.mark.xdist_group("nifi")
def test_a_nar_that_nifi_refuses_is_told_with_its_reason(connection: Connection, tmp_path: Path) -> None:
    nar = tmp_path / "late.nar"
    with zipfile.ZipFile(nar, "w") as archive:
        archive.mkdir("NAR-INF/")
        archive.mkdir("NAR-INF/bundled-dependencies/")
        archive.writestr("META-INF/MANIFEST.MF", "Nar-Group: org.example\r\nNar-Id: late\r\nNar-Version: 1\r\n\r\n")
    with pytest.raises(RequestError, match=r"NAR content is missing required META-INF/MANIFEST"):
        install(connection, nar)


@pytest.mark.parametrize("content", [None, b"no zip"])
def test_a_file_that_is_no_nar_is_named_before_anything_is_asked(tmp_path: Path, content: bytes | None) -> None:
    nar = tmp_path / "x.nar"
    if content:
        nar.write_bytes(content)
    else:
        with zipfile.ZipFile(nar, "w") as archive:
            archive.writestr("x.py", "")
    with pytest.raises(SetupError, match=r"x\.nar") as caught:
        install(Connection("http://127.0.0.1:9"), nar)
    assert caught.value.code == "NAR_REFUSED"


def test_a_nifi_that_is_not_there_is_named(tmp_path: Path) -> None:
    nar = write_nar(tmp_path / "x.nar", "X", "")
    with pytest.raises(Unavailable, match=r"no NiFi answers at http://127\.0\.0\.1:9"):
        install(Connection("http://127.0.0.1:9"), nar)
