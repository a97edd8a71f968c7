"""The command line that runs NiFi."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from penstock.deploy.ports import LOOPBACK

if TYPE_CHECKING:
    from penstock.deploy.java import Java
    from penstock.deploy.nifi._assembly import Assembly

_OPTIONS = (
    "-Xms256m",
    "-Xmx1g",
    # Only the quick compiler: a start takes 16 s of processor time instead of 34 (measured on two cores), and Python
    # processors, which wait for Python, take FlowFiles as fast. Archives of classes (CDS, AppCDS) do not help: nearly
    # all of NiFi's classes come from class loaders of its own.
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",  # dead is better than half alive: `status` sees it
    "-Djava.awt.headless=true",
    "-Dsun.net.http.allowRestrictedHeaders=true",
    "-Dorg.apache.nifi.bootstrap.config.log.dir=logs",
    "-Dnifi.properties.file.path=conf/nifi.properties",
)


def nifi_command(java: Java, assembly: Assembly, mark: str, *, management_port: int) -> list[str]:
    """NiFi itself, to be run in its folder; ``mark`` is an argument by which the process is known again.

    Two NiFis must not have the same management port: the second one would end without a word about it.
    """
    management = f"-Dorg.apache.nifi.management.server.address={LOOPBACK}:{management_port}"
    path = f"{assembly.jars}/*{os.pathsep}conf"
    return [str(java.executable), *_OPTIONS, management, mark, "-cp", path, "org.apache.nifi.NiFi"]


def nifi_environment() -> dict[str, str]:
    """Our environment, with a locale in which Java can open any path, and without a word to the Python workers."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**ours, "LC_ALL": "C.UTF-8"}
