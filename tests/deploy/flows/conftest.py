from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from penstock.deploy.canvas import Connection
from penstock.deploy.flows import Definition, Flows, to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import RunningNiFi


def until(done: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Look until the answer is true, and give it."""
    end = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.1)
    return found


@dataclass(frozen=True, slots=True)
class Canvas:
    """A process group of its own on a real NiFi, and what a person does there by hand."""

    nifi: Connection
    flows: Flows
    group: str
    folder: Path
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _prefix: str = field(default_factory=lambda: f"test-{uuid4().hex[:8]}")

    def name(self) -> str:
        """A name that no other deployment has, with characters that give trouble."""
        return f"{self._prefix} ä/#% {next(self._numbers)}"

    def file(self, definition: Definition) -> Path:
        """The definition in a file."""
        path = self.folder / f"{definition['flowContents']['name']}-{next(self._numbers)}.json"
        path.write_text(to_text(definition), encoding="utf-8")
        return path

    def group_of(self, name: str) -> str:
        """The id of the deployment's process group."""
        return self.flows.show(name).summary.group

    def processor(self, name: str, which: str) -> Any:
        """The entity of a processor of a deployment."""
        entities = self.nifi.get(f"/process-groups/{self.group_of(name)}/processors", includeDescendantGroups="true")
        (found,) = (each for each in entities["processors"] if each["component"]["name"] == which)
        return found

    def edit(self, name: str, which: str, /, **component: Any) -> None:
        """Change a stopped processor."""
        entity = self.processor(name, which)
        body = {"revision": entity["revision"], "component": {"id": entity["id"], **component}}
        self.nifi.put(f"/processors/{entity['id']}", body)

    def run(self, name: str, which: str, state: str) -> None:
        """Start or stop one processor, and wait for it."""
        entity = self.processor(name, which)
        body = {"revision": entity["revision"], "state": state}
        self.nifi.put(f"/processors/{entity['id']}/run-status", body)
        until(lambda: self._is(name, which, state))

    def _is(self, name: str, which: str, state: str) -> bool:
        """What is STOPPED may still have a thread at work: until that is done it can be neither changed nor emptied."""
        entity = self.processor(name, which)
        threads = entity["status"]["aggregateSnapshot"]["activeThreadCount"]
        return bool(entity["component"]["state"] == state and (state == "RUNNING" or not threads))

    def add(self, name: str, type_: str, called: str, **config: Any) -> Any:
        """A new processor."""
        offered = self.nifi.get("/flow/processor-types", type=type_)["processorTypes"]
        kind = next(each for each in offered if each["type"] == type_)
        component = {"name": called, "type": type_, "bundle": kind["bundle"], "position": {"x": 9, "y": 900}}
        body = {"revision": {"version": 0}, "component": {**component, "config": config}}
        return self.nifi.post(f"/process-groups/{self.group_of(name)}/processors", body)

    def connect(self, name: str, source: str, destination: str) -> None:
        """A new connection for ``success``."""
        group = self.group_of(name)
        ends = {
            side: {"id": self.processor(name, which)["id"], "groupId": group, "type": "PROCESSOR"}
            for side, which in (("source", source), ("destination", destination))
        }
        body = {"revision": {"version": 0}, "component": {**ends, "selectedRelationships": ["success"]}}
        self.nifi.post(f"/process-groups/{group}/connections", body)

    def queued(self, name: str) -> dict[str, int]:
        """FlowFiles by connection."""
        return {each.name: each.queued for each in self.flows.show(name).queues}

    def states(self, name: str) -> dict[str, str]:
        """States of the processors by name."""
        return {each.name: each.state for each in self.flows.show(name).processors}

    def ids(self, name: str) -> dict[str, str]:
        """NiFi's ids of the processors by name."""
        return {each.name: each.id for each in self.flows.show(name).processors}


@pytest.fixture
def canvas(nifi: RunningNiFi, tmp_path: Path) -> Iterator[Canvas]:
    """A place on the canvas that is gone afterwards, with all deployments that were made there."""
    connection = Connection(nifi.address)
    root = connection.get("/process-groups/root")["id"]
    body = {"revision": {"version": 0}, "component": {"name": f"tests {uuid4().hex[:8]}", "position": {"x": 0, "y": 0}}}
    group = connection.post(f"/process-groups/{root}/process-groups", body)["id"]
    place = Canvas(connection, Flows(connection, group), group, tmp_path)
    yield place
    inside = {each["id"] for each in connection.get(f"/process-groups/{group}/process-groups")["processGroups"]}
    for each in place.flows.list():
        if each.group in inside:
            place.flows.delete(each.group, drop_queued=True)
    revision = connection.get(f"/process-groups/{group}")["revision"]["version"]
    connection.delete(f"/process-groups/{group}", version=revision)
    names = [each["component"]["name"] for each in connection.get("/flow/parameter-contexts")["parameterContexts"]]
    assert not [name for name in names if name.startswith(place._prefix)], json.dumps(names)
