"""Fixtures of all rooms."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.deploy.kafka import Broker

# As in CI, where Hypothesis does so of itself: a busy machine is no reason to fail.
settings.register_profile("busy", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Broker]:
    """A real broker with `.address`, started for the first test that wants one; the workers of xdist share it.

    It is gone when the last worker has ended, also when the whole run is killed. Topics are shared: give yours a
    name that no other test has. Tests with this fixture carry ``@pytest.mark.kafka``.
    """
    from penstock.deploy.kafka import broker

    base = tmp_path_factory.getbasetemp()
    folder = base if worker_id == "master" else base.parent
    with broker(folder / "kafka") as running:
        yield running


@dataclass(frozen=True, slots=True)
class RunningNiFi:
    """A real NiFi that the tests may use: its address, and its folder where it is one of ours."""

    address: str
    home: Path | None = None


@pytest.fixture(scope="session")
def nifi(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[RunningNiFi]:
    """A real NiFi with our processors on its list, started for the first test that wants one.

    It is gone when the last worker of xdist has ended, also when the whole run is killed. ``PENSTOCK_TEST_NIFI`` names
    one that runs already. The canvas is shared: each test works in a process group of its own and removes it.
    Tests with this fixture carry ``@pytest.mark.nifi`` and ``@pytest.mark.xdist_group("nifi")``.
    """
    address = os.environ.get("PENSTOCK_TEST_NIFI")
    if address:
        yield RunningNiFi(address)
        return
    from penstock.deploy.nifi import nifi as borrowed

    base = tmp_path_factory.getbasetemp()
    folder = base if worker_id == "master" else base.parent
    with borrowed(folder / "nifi") as running:
        yield RunningNiFi(running.address, running.folder)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of an ``xdist_group`` on one worker, which xdist 3.8 does not do under pytest 9.2.

    It appends the group to the name of the item in an attribute that pytest no longer reads, and tells nobody.
    """
    if getattr(config.option, "loadgroup", False) and hasattr(pytest.Item, "id"):
        for item in items:
            mark = item.get_closest_marker("xdist_group")
            if mark and "@" not in item.nodeid.rpartition("]")[2]:
                item._id = type(item.id).parse(f"{item.nodeid}@{mark.args[0]}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what a test has to say beside passing, such as how many records came twice."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "reported":
                terminalreporter.write_line(f"{report.nodeid}: {value}")
