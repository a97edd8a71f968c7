"""The command lines that run Kafka's classes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.deploy.java import Java

_BROKER = (
    "-Xms128m",
    "-Xmx768m",
    "-XX:+ExitOnOutOfMemoryError",  # dead is better than half alive: `status` sees it
    "-Dlog4j2.configurationFile=log4j2.properties",
    "-Dpenstock.log=broker.log",
)


def java_command(java: Java, jars: Path, options: Sequence[str], main: Sequence[str]) -> list[str]:
    """A JVM with the jars of a folder on its class path.

    The serial collector needs no threads of its own and the least memory; the heaps here are small.
    """
    shared = ("-XX:+UseSerialGC", "-Xshare:auto")
    return [str(java.executable), *shared, *options, "-cp", f"{jars}/*", *main]


def broker_command(java: Java, jars: Path, mark: str) -> list[str]:
    """The broker itself, to be run in its folder; ``mark`` is an argument by which the process is known again."""
    return java_command(java, jars, (*_BROKER, mark), ("kafka.Kafka", "server.properties"))


def java_environment() -> dict[str, str]:
    """Our environment, with a locale in which Java can open any path: it takes file names' encoding from there."""
    return {**os.environ, "LC_ALL": "C.UTF-8"}
