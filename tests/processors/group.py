"""A process group of a test's own on a real NiFi: processors, queues, and what is in them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.request import Request, urlopen
from uuid import uuid4

from penstock.deploy.canvas import Connection
from penstock.proto.errors import PenstockError, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_CLIENT = {"clientId": uuid4().hex}
_PATIENCE = 90.0  # seconds; the machine may be busy
Json = Any


@dataclass(frozen=True, slots=True)
class FlowFile:
    """A FlowFile in a queue."""

    content: bytes
    attributes: dict[str, str]


class Group:
    """A process group under the root one, removed with everything in it at the end."""

    def __init__(self, address: str, name: str) -> None:
        self.nifi = Connection(address)
        self.name = f"{name} {uuid4().hex[:6]}"

    def __enter__(self) -> Self:
        self.id = self._make("/process-groups/root/process-groups", {"name": self.name, "position": {"x": 0, "y": 0}})
        # Each queue in here ends in it: a funnel without a way out keeps nothing but its queues.
        self.funnel = self._make(f"/process-groups/{self.id}/funnels", {"position": {"x": 800, "y": 0}})
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.nifi.post(f"/process-groups/{self.id}/empty-all-connections-requests", {})
        until(self._removed, "the group is gone")

    def _removed(self) -> bool:
        try:
            group = self.nifi.get(f"/process-groups/{self.id}")
            self.nifi.delete(f"/process-groups/{self.id}", version=group["revision"]["version"], **_CLIENT)
        except RequestError:
            return False  # its threads or its FlowFiles are not yet gone
        return True

    def _make(self, path: str, component: Mapping[str, Json]) -> str:
        made = self.nifi.post(path, {"revision": {**_CLIENT, "version": 0}, "component": dict(component)})
        return str(made["id"])

    # Processors

    def add(
        self,
        kind: str,
        properties: Mapping[str, str | None] | None = None,
        *,
        drop: Iterable[str] = (),
        tasks: int = 1,
        every: str = "0 sec",
        run_ms: int = 0,
    ) -> str:
        """A stopped processor; relationships in ``drop`` end with it. Returns its id."""
        until(lambda: self._type(kind), f"a processor {kind}", 90)  # NiFi looks for new Python files once a minute
        chosen = self._type(kind)[0]
        component = {"type": chosen["type"], "bundle": chosen["bundle"], "name": kind, "position": {"x": 400, "y": 0}}
        identity = self._make(f"/process-groups/{self.id}/processors", component)
        # A Python processor has neither before its process has started.
        until(lambda: self.processor(identity).get("relationships"), f"{kind} is ready", 90)
        config = {
            "autoTerminatedRelationships": list(drop),
            "concurrentlySchedulableTaskCount": tasks,
            "schedulingPeriod": every,
            "runDurationMillis": run_ms,
        }
        self.configure(identity, properties or {}, **config)
        return identity

    def _type(self, kind: str) -> list[dict[str, Json]]:
        types = self.nifi.get("/flow/processor-types")["processorTypes"]
        return [each for each in types if each["type"].rpartition(".")[2] == kind]

    def configure(self, identity: str, properties: Mapping[str, str | None], **config: Json) -> None:
        """Set properties (None unsets one) and other things of a stopped processor's configuration."""
        self.change(identity, config={"properties": dict(properties), **config})

    def change(self, identity: str, **component: Json) -> None:
        """Change a stopped processor: its ``name``, ``position`` or ``config``."""
        entity = self.nifi.get(f"/processors/{identity}")
        body = {"id": identity, **component}
        self.nifi.put(f"/processors/{identity}", {"revision": entity["revision"], "component": body})

    def processor(self, identity: str) -> dict[str, Json]:
        """What NiFi tells of a processor."""
        return cast("dict[str, Json]", self.nifi.get(f"/processors/{identity}")["component"])

    def run(self, *identities: str, state: str = "RUNNING") -> None:
        """Start processors as soon as they are valid; ``RUN_ONCE``, ``STOPPED`` are states too."""
        for identity in identities:
            if state in ("RUNNING", "RUN_ONCE"):
                self.valid(identity)
            entity = self.nifi.get(f"/processors/{identity}")
            self.nifi.put(f"/processors/{identity}/run-status", {"revision": entity["revision"], "state": state})

    def valid(self, identity: str) -> None:
        """Wait until a processor is valid."""
        seen: list[Json] = []

        def is_valid() -> bool:
            seen.append(self.processor(identity))
            return bool(seen[-1]["validationStatus"] == "VALID")

        until(is_valid, lambda: f"valid: {seen[-1].get('validationErrors')}", 120)

    def stop(self, *identities: str) -> None:
        """Stop processors, all where none is named, and wait until no thread of theirs runs."""
        if not identities:
            self.nifi.put(f"/flow/process-groups/{self.id}", {"id": self.id, "state": "STOPPED"})
            processors = self.nifi.get(f"/process-groups/{self.id}/processors")["processors"]
            identities = tuple(each["id"] for each in processors)
        else:
            self.run(*identities, state="STOPPED")
        for identity in identities:
            until(lambda identity=identity: self._is_idle(identity), "stopped")  # type: ignore[misc]

    def _is_idle(self, identity: str) -> bool:
        status = self.nifi.get(f"/flow/processors/{identity}/status")["processorStatus"]["aggregateSnapshot"]
        return bool(status["activeThreadCount"] == 0 and status["runStatus"] != "Running")

    def told(self) -> str:
        """What waits in its queues, and the bulletins; for the message of a test that waits in vain."""
        flow = self.nifi.get(f"/flow/process-groups/{self.id}")["processGroupFlow"]["flow"]
        queued = [each["status"]["aggregateSnapshot"]["flowFilesQueued"] for each in flow["connections"]]
        board = self.nifi.get(f"/flow/bulletin-board?groupId={self.id}")["bulletinBoard"]["bulletins"]
        return f"queues {queued}, {[each['bulletin']['message'] for each in board if each.get('bulletin')]}"

    # Queues

    def connect(self, source: str, relationships: Iterable[str], target: str | None = None) -> str:
        """A queue from a processor to another, or to the end. Returns its id."""
        end = {"id": target or self.funnel, "type": "PROCESSOR" if target else "FUNNEL", "groupId": self.id}
        start = {"id": source, "type": "PROCESSOR", "groupId": self.id}
        component = {"source": start, "destination": end, "selectedRelationships": list(relationships)}
        return self._make(f"/process-groups/{self.id}/connections", component)

    def queued(self, queue: str) -> int:
        """How many FlowFiles wait in a queue."""
        status = self.nifi.get(f"/flow/connections/{queue}/status")["connectionStatus"]["aggregateSnapshot"]
        return int(status["flowFilesQueued"])

    def arrived(self, queue: str, count: int = 1, seconds: float = _PATIENCE) -> list[FlowFile]:
        """The first FlowFiles of a queue, as soon as there are ``count``."""
        until(lambda: self.queued(queue) >= count, lambda: f"{count} queued, not {self.queued(queue)}", seconds)
        path = f"/flowfile-queues/{queue}"
        request = self.nifi.post(f"{path}/listing-requests", {})["listingRequest"]["id"]
        listing: list[Json] = []

        def listed() -> bool:
            answer = self.nifi.get(f"{path}/listing-requests/{request}")["listingRequest"]
            listing[:] = answer.get("flowFileSummaries") or []
            return bool(answer["finished"])

        until(listed, "listed")
        self.nifi.delete(f"{path}/listing-requests/{request}")
        return [self._flowfile(path, each["uuid"]) for each in sorted(listing, key=lambda each: each["position"])]

    def _flowfile(self, path: str, identity: str) -> FlowFile:
        details = self.nifi.get(f"{path}/flowfiles/{identity}")["flowFile"]
        with urlopen(Request(f"{self.nifi.address}/nifi-api{path}/flowfiles/{identity}/content"), timeout=30) as reply:
            return FlowFile(reply.read(), dict(details["attributes"]))

    def empty(self, queue: str) -> None:
        """Drop what is in a queue."""
        self.nifi.post(f"/flowfile-queues/{queue}/drop-requests", {})
        until(lambda: self.queued(queue) == 0, "empty")


def until(check: Callable[[], object], what: str | Callable[[], str], seconds: float = _PATIENCE) -> None:
    """Wait until ``check`` is true; a NiFi that is busy may refuse for a moment."""
    end = time.monotonic() + seconds
    while True:
        try:
            if check():
                return
            trouble = ""
        except PenstockError as error:
            trouble = error.message
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what if isinstance(what, str) else what()} {trouble}")
        time.sleep(0.1)
