"""What the templates run against: services of two models, an SFTP server, and a NiFi to deploy them on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import pytest

from penstock.deploy.canvas import connect
from penstock.deploy.flows import Flows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import RunningNiFi

    from penstock.cli.demo.pictures import Picture
    from penstock.deploy.canvas import Connection

TEMPLATES = Path(__file__).parents[2] / "templates"

SUMS = '''
class SeldonWrapper:
    """Answers each row with its sum; 666 in front breaks it."""

    def predict(self, X, features_names=None):
        if (X[:, 0] == 666).any():
            raise ValueError("a row that this model cannot bear")
        return X.astype(float).sum(axis=1, keepdims=True)

    def class_names(self):
        return ["sum"]
'''


class ImageModel(NamedTuple):
    folder: Path
    pictures: list[Picture]


@pytest.fixture(scope="session")
def image_model(tmp_path_factory: pytest.TempPathFactory) -> ImageModel:
    """The demo's image model in a folder, and pictures that it has not seen."""
    from penstock.cli.demo.pictures import lay_out_model

    folder = tmp_path_factory.mktemp("image-model") / "digits"
    return ImageModel(folder, lay_out_model(folder, 40))


@contextmanager
def program(*arguments: str, ready: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], re.Match[str]]]:
    """A Python module as a process, from the line on that says that it is ready."""
    command = [sys.executable, "-m", *arguments]
    added = os.environ | {"PYTHONUNBUFFERED": "1"} | environment
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=added) as process:
        assert process.stdout is not None
        found = re.search(ready, process.stdout.readline())
        assert found is not None
        try:
            yield process, found
        finally:
            process.terminate()


@contextmanager
def served(folder: Path, port: str = "0") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A service of the model in ``folder``, and its gRPC address."""
    arguments = ["penstock.cli", "serve", "--model", str(folder), "--grpc-port", port, "--http-port", "0"]
    with program(*arguments, ready=r"grpc=(\S+)") as (process, found):
        yield process, found[1]


@pytest.fixture(scope="session")
def sums_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "sums"
    folder.mkdir()
    (folder / "SeldonWrapper.py").write_text(SUMS)
    return folder


@pytest.fixture(scope="session")
def sums(sums_folder: Path) -> Iterator[str]:
    """The address of a service that adds up rows."""
    with served(sums_folder) as (_, address):
        yield address


class Deployed(NamedTuple):
    """A template on the canvas."""

    name: str
    flows: Flows
    nifi: Connection

    def queued(self, name: str) -> list[dict[str, Any]]:
        """The FlowFiles in the connection of this name."""
        group = self.flows.show(self.name).summary.group
        connections = self.nifi.get(f"/process-groups/{group}/connections")["connections"]
        found = [each["id"] for each in connections if each["component"]["name"] == name]
        return [file for each in found for file in self._listed(each)]

    def _listed(self, connection: str) -> list[dict[str, Any]]:
        found = connection
        listing = self.nifi.post(f"/flowfile-queues/{found}/listing-requests", {})["listingRequest"]
        path = f"/flowfile-queues/{found}/listing-requests/{listing['id']}"
        listing = until(lambda: (now := self.nifi.get(path)["listingRequest"])["finished"] and now)
        self.nifi.delete(path)
        files = [each["uuid"] for each in listing.get("flowFileSummaries", [])]
        return [self.nifi.get(f"/flowfile-queues/{found}/flowfiles/{uuid}")["flowFile"] for uuid in files]

    def bulletins(self, source: str) -> list[str]:
        """What the processor of this name complained of."""
        return [each.message for each in self.flows.show(self.name).bulletins if each.source.endswith(source)]

    def processor(self, name: str) -> str:
        """The id of the processor of this name."""
        group = self.flows.show(self.name).summary.group
        everything = self.nifi.get(f"/process-groups/{group}/processors", includeDescendantGroups="true")
        (found,) = (each["id"] for each in everything["processors"] if each["component"]["name"] == name)
        return str(found)


@pytest.fixture
def deploy(nifi: RunningNiFi) -> Iterator[Callable[..., Deployed]]:
    """Put a template on the canvas with these parameters, and start it; it is removed after the test."""
    connection = connect(nifi.address)
    flows, made = Flows(connection), list[str]()

    def make(template: str, parameters: dict[str, str], secrets: dict[str, str] | None = None) -> Deployed:
        name = f"{template} {uuid4().hex[:6]}"
        flows.create(name, TEMPLATES / template, parameters=parameters, secrets=secrets)
        made.append(name)
        details = flows.show(name)
        problems = {each.name: each.problems for each in (*details.processors, *details.services) if each.problems}
        assert not {name: told for name, told in problems.items() if "is disabled" not in str(told)}
        flows.start(name)
        return Deployed(name, flows, connection)

    yield make
    for name in made:
        flows.delete(name, drop_queued=True)


def until(condition: Callable[[], Any], within: float = 90.0) -> Any:
    """What the condition says when it is true at last."""
    end = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.3)
    return found
