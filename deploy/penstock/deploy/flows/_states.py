"""Starting and stopping what is in a process group, and waiting until it is so."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from penstock.deploy.flows._asking import background, until, with_fresh_revision
from penstock.proto.errors import DeadlineExceeded, RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penstock.deploy.canvas import Connection

_SERVICES: Final = 60.0  # seconds for controller services to change their state
_SERVICES_AGAIN: Final = 2.0  # seconds
_SCHEDULED: Final = 60.0  # seconds for processors to do so; what a processor does when it starts is part of it
_VALIDATED: Final = 180.0  # seconds; a processor in Python makes its environment in that time
_PREPARING: Final = re.compile(r"initializ|downloading|loading", re.IGNORECASE)
_SERVICE_OFF: Final = re.compile(r"Controller Service with ID \S+ is disabled|because Controller Service .*not enabled")


@dataclass(frozen=True, slots=True)
class Trouble:
    """A component that cannot run.

    Attributes:
        id: of the component.
        name: of the component.
        reasons: what NiFi says about it.
    """

    id: str
    name: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}: {'; '.join(self.reasons) or 'invalid'}"


def group(nifi: Connection, identifier: str) -> Any:
    """The entity of a process group."""
    return nifi.get(f"/process-groups/{identifier}")


def processors(nifi: Connection, identifier: str) -> list[Any]:
    """The entities of all processors in a group and the groups inside."""
    found = nifi.get(f"/process-groups/{identifier}/processors", includeDescendantGroups="true")
    return list(found["processors"])


def services(nifi: Connection, identifier: str) -> list[Any]:
    """The entities of all controller services in a group and the groups inside."""
    path = f"/flow/process-groups/{identifier}/controller-services"
    found = nifi.get(path, includeAncestorGroups="false", includeDescendantGroups="true")
    return list(found["controllerServices"])


def running(nifi: Connection, identifier: str) -> dict[str, str]:
    """Names of the processors that run, by id."""
    return {each["id"]: each["component"]["name"] for each in processors(nifi, identifier) if _state(each) == "RUNNING"}


def validated(nifi: Connection, identifier: str) -> list[Trouble]:
    """What is invalid, when NiFi has finished looking and the Python processors are ready."""

    def busy() -> bool:
        all_of_them = (*processors(nifi, identifier), *services(nifi, identifier))
        return any(_unready(each["component"]) for each in all_of_them)

    until(lambda: not busy(), _VALIDATED)
    enabled = [each for each in processors(nifi, identifier) if _state(each) != "DISABLED"]
    return _troubles(enabled) + _troubles(services(nifi, identifier))


def start(nifi: Connection, identifier: str) -> None:
    """Enable the services and start everything.

    Raises:
        RequestError: something is invalid; nothing was started.
        DeadlineExceeded: it takes too long.
    """
    invalid = validated(nifi, identifier)
    if invalid:
        told = " | ".join(map(str, invalid))
        raise RequestError(f"not started, for it is not valid: {told}", code="FLOW_INVALID", http_status=409)
    enable_services(nifi, identifier)
    nifi.put(f"/flow/process-groups/{identifier}", {"id": identifier, "state": "RUNNING"})

    def started() -> bool:
        return all(_state(each) != "STOPPED" for each in processors(nifi, identifier))

    if not until(started, _SCHEDULED):
        late = [each["component"]["name"] for each in processors(nifi, identifier) if _state(each) == "STOPPED"]
        raise DeadlineExceeded(f"not everything has started after {_SCHEDULED:.0f} s: {', '.join(late)}")


def stop(nifi: Connection, identifier: str, *, seconds: float = _SCHEDULED) -> None:
    """Stop everything, wait until the last task has ended, and disable the services.

    Raises:
        DeadlineExceeded: a task does not end.
    """
    nifi.put(f"/flow/process-groups/{identifier}", {"id": identifier, "state": "STOPPED"})

    def busy() -> list[str]:
        return [
            each["component"]["name"]
            for each in processors(nifi, identifier)
            if _state(each) not in ("STOPPED", "DISABLED")
            or each["status"]["aggregateSnapshot"].get("activeThreadCount", 0)
        ]

    if not until(lambda: not busy(), seconds):
        raise DeadlineExceeded(
            f"still busy after {seconds:.0f} s: {', '.join(busy())}; wait, or end the task with Terminate on the canvas"
        )
    _switch_services(nifi, identifier, "DISABLED")


def enable_services(nifi: Connection, identifier: str) -> None:
    """Enable the controller services of a group and wait for it; errors as for ``start``."""
    _switch_services(nifi, identifier, "ENABLED")


def drop_queues(nifi: Connection, identifier: str) -> None:
    """Throw away all FlowFiles that wait in the group."""
    path = f"/process-groups/{identifier}/empty-all-connections-requests"
    answer = nifi.post(path, {})["dropRequest"]
    status = f"{path}/{answer['id']}"

    def done() -> bool:
        return bool(nifi.get(status)["dropRequest"]["finished"])

    try:
        if not until(done, _SCHEDULED):
            raise DeadlineExceeded(f"the queues are not empty after {_SCHEDULED:.0f} s")
    finally:
        nifi.delete(status)


def replace(nifi: Connection, identifier: str, definition: Mapping[str, Any]) -> None:
    """Put a definition in the place of a group's contents.

    NiFi keeps the components with the same identifier and what is in their queues, stops and starts only what
    changes, and refuses when a connection with FlowFiles in it would go.

    Raises:
        RequestError: NiFi refuses; the group is as before.
    """

    def change() -> None:
        body = {"processGroupRevision": group(nifi, identifier)["revision"], "versionedFlowSnapshot": definition}
        background(nifi, f"/process-groups/{identifier}/replace-requests", body, doing="the new version of the flow")

    with_fresh_revision(change)


def _switch_services(nifi: Connection, identifier: str, wanted: str) -> None:
    path = f"/flow/process-groups/{identifier}/controller-services"

    def late() -> list[str]:
        return [each["component"]["name"] for each in services(nifi, identifier) if _state(each) != wanted]

    # A service that uses another one can only be enabled after it, so this is asked for more than once.
    end = time.monotonic() + _SERVICES
    while late():
        if time.monotonic() > end:
            raise DeadlineExceeded(f"not {wanted.lower()} after {_SERVICES:.0f} s: {', '.join(late())}")
        nifi.put(path, {"id": identifier, "state": wanted})
        until(lambda: not late(), _SERVICES_AGAIN)


def _troubles(entities: Iterable[Mapping[str, Any]]) -> list[Trouble]:
    """The invalid ones; that a service is not enabled yet makes none invalid."""
    found = []
    for each in entities:
        component = each["component"]
        reasons = tuple(text for text in component.get("validationErrors") or () if not _SERVICE_OFF.search(text))
        if component.get("validationStatus") == "INVALID" and reasons:
            found.append(Trouble(each["id"], component["name"], reasons))
    return found


def _state(entity: Mapping[str, Any]) -> str:
    return str(entity["component"]["state"])


def _unready(component: Mapping[str, Any]) -> bool:
    if component.get("validationStatus") == "VALIDATING":
        return True
    return any(_PREPARING.search(text) for text in component.get("validationErrors") or ())
