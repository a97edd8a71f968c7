"""The files of a broker's folder: its settings, written at each start, and its storage, formatted once."""

from __future__ import annotations

import base64
import shutil
import subprocess
import uuid
from string import Template
from typing import TYPE_CHECKING

from penstock.deploy.folders import RESOURCES
from penstock.deploy.kafka._command import java_command, java_environment
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.deploy.java import Java


def write_settings(folder: Path, *, port: int, controller_port: int) -> None:
    """Write ``server.properties`` and ``log4j2.properties``; every path in them is relative to the folder."""
    _write_properties(folder, "server.properties", "data", port, controller_port)
    (folder / "log4j2.properties").write_text((RESOURCES / "log4j2.properties").read_text())


def format_storage(folder: Path, java: Java, jars: Path) -> str:
    """Make the storage of a new cluster, unless there is one; answer the id of the cluster.

    Formatting goes to another place that is renamed at the end: half of a storage is never taken for a whole one.
    """
    data, part = folder / "data", folder / "data.part"
    if not (data / "meta.properties").exists():
        shutil.rmtree(part, ignore_errors=True)
        _write_properties(folder, "format.properties", part.name, 1, 2)
        _run_storage_tool(folder, java, jars)
        part.replace(data)
    lines = (data / "meta.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)["cluster.id"]


def _write_properties(folder: Path, name: str, log_dirs: str, port: int, controller_port: int) -> None:
    template = Template((RESOURCES / "server.properties").read_text())
    (folder / name).write_text(template.substitute(port=port, controller_port=controller_port, log_dirs=log_dirs))


def _cluster_id() -> str:
    # The tool's own `random-uuid` would be one more JVM for sixteen random bytes. The first bit is cleared because
    # the text must not begin with "-", which every tool of Kafka takes for an option.
    first, *others = uuid.uuid4().bytes
    return base64.urlsafe_b64encode(bytes([first & 0x7F, *others])).decode().rstrip("=")


def _run_storage_tool(folder: Path, java: Java, jars: Path) -> None:
    options = ("-Xmx128m", "-XX:TieredStopAtLevel=1")  # it lives for a second: nothing is worth optimising
    tool = ("kafka.tools.StorageTool", "format", "-t", _cluster_id(), "-c", "format.properties")
    command = java_command(java, jars, options, tool)
    result = subprocess.run(  # noqa: S603  (our own arguments only)
        command, cwd=folder, env=java_environment(), capture_output=True, text=True, check=False
    )
    if result.returncode:
        last = "\n".join((result.stdout + result.stderr).splitlines()[-10:])
        raise SetupError(f"cannot format the broker's storage in {folder}:\n{last}", code="BROKER_FAILED")
