"""What there is to see of a deployment: states, queues, bulletins, parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.deploy.flows import _states as states
from penstock.deploy.flows._definition import RECORD, own_comments
from penstock.deploy.flows._found import deployments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.deploy.canvas import Connection
    from penstock.deploy.flows._found import Deployment


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of a list.

    Attributes:
        name: of the deployment.
        state: ``running``, ``partly running``, ``stopped`` or ``empty``.
        queued: FlowFiles in its connections.
        invalid: components that cannot run.
        bulletins: of the last five minutes; NiFi keeps them no longer.
        template: what it was made from; empty for a flow without one.
        group: id of its process group.
        address: of its canvas.
    """

    name: str
    state: str
    queued: int
    invalid: int
    bulletins: int
    template: str
    group: str
    address: str


@dataclass(frozen=True, slots=True)
class Component:
    """A processor or a controller service.

    Attributes:
        name: with the groups around it.
        type: its class, without the package.
        state: as NiFi calls it.
        tasks: that run at this moment.
        problems: why it is invalid.
        id: NiFi's.
    """

    name: str
    type: str
    state: str
    tasks: int
    problems: tuple[str, ...]
    id: str


@dataclass(frozen=True, slots=True)
class Queue:
    """A connection.

    Attributes:
        name: where it leads from and to.
        queued: FlowFiles in it.
        bytes: of their contents.
        passed: FlowFiles that left it in the last five minutes.
        id: NiFi's.
    """

    name: str
    queued: int
    bytes: int
    passed: int
    id: str


@dataclass(frozen=True, slots=True)
class Bulletin:
    """What a component complains of.

    Attributes:
        source: name of the component.
        level: ``WARNING``, ``ERROR`` and so on.
        message: its words.
        time: of day, as NiFi writes it.
    """

    source: str
    level: str
    message: str
    time: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the deployment.

    Attributes:
        name: of the parameter.
        value: None for a secret, and where there is none.
        secret: whether it is sensitive.
        is_set: whether it has a value.
        description: what it is for.
    """

    name: str
    value: str | None
    secret: bool
    is_set: bool
    description: str


@dataclass(frozen=True, slots=True)
class Details:
    """Everything about one deployment."""

    summary: Summary
    comments: str
    processors: tuple[Component, ...]
    services: tuple[Component, ...]
    queues: tuple[Queue, ...]
    bulletins: tuple[Bulletin, ...]
    parameters: tuple[Parameter, ...]


def summaries(nifi: Connection) -> tuple[Summary, ...]:
    """A line for each deployment, by name."""
    found = deployments(nifi)
    board = _board(nifi) if found else []
    return tuple(_summary(nifi, each, _status(nifi, each.group), board) for each in found)


def details(nifi: Connection, deployment: Deployment) -> Details:
    """Everything about it. The values of secrets are not asked for, and NiFi would not tell them."""
    status = _status(nifi, deployment.group)
    board = _board(nifi)
    inside = dict(_groups(status, ""))
    processors = states.processors(nifi, deployment.group)
    entity = states.group(nifi, deployment.group)
    return Details(
        summary=_summary(nifi, deployment, status, board),
        comments=own_comments(entity["component"].get("comments") or ""),
        processors=_components(processors, inside),
        services=_components(states.services(nifi, deployment.group), inside),
        queues=tuple(sorted(_queues(status, ""), key=lambda each: each.name)),
        bulletins=tuple(_bulletin(each) for each in board if each.get("groupId") in inside),
        parameters=tuple(
            Parameter(
                name=name,
                value=None if each.get("sensitive") else each.get("value"),
                secret=bool(each.get("sensitive")),
                is_set=each.get("value") is not None,
                description=each.get("description") or "",
            )
            for name, each in sorted(deployment.context.parameters.items())
            if name != RECORD
        ),
    )


def _summary(nifi: Connection, deployment: Deployment, status: Any, board: list[Any]) -> Summary:
    entity = states.group(nifi, deployment.group)
    inside = dict(_groups(status, ""))
    runs, rests = entity["runningCount"], entity["stoppedCount"] + entity["invalidCount"]
    state = ("partly running" if rests else "running") if runs else ("stopped" if rests else "empty")
    return Summary(
        name=deployment.name,
        state=state,
        queued=int(entity["status"]["aggregateSnapshot"]["flowFilesQueued"]),
        invalid=entity["invalidCount"],
        bulletins=sum(each.get("groupId") in inside for each in board),
        template=deployment.record.label if deployment.record.template else "",
        group=deployment.group,
        address=nifi.canvas_of(deployment.group),
    )


def _status(nifi: Connection, group: str) -> Any:
    found = nifi.get(f"/flow/process-groups/{group}/status", recursive="true")
    return found["processGroupStatus"]["aggregateSnapshot"]


def _groups(status: Any, path: str) -> Iterator[tuple[str, str]]:
    """The path of the group and of each inside, by id."""
    yield status["id"], path
    for inner in status.get("processGroupStatusSnapshots") or ():
        snapshot = inner["processGroupStatusSnapshot"]
        yield from _groups(snapshot, f"{path}{snapshot['name']}/")


def _queues(status: Any, path: str) -> Iterator[Queue]:
    for entity in status.get("connectionStatusSnapshots") or ():
        each = entity["connectionStatusSnapshot"]
        name = f"{path}{each.get('sourceName', '')} → {each.get('destinationName', '')}"
        yield Queue(name, each["flowFilesQueued"], each["bytesQueued"], each["flowFilesOut"], each["id"])
    for inner in status.get("processGroupStatusSnapshots") or ():
        snapshot = inner["processGroupStatusSnapshot"]
        yield from _queues(snapshot, f"{path}{snapshot['name']}/")


def _components(entities: list[Any], paths: dict[str, str]) -> tuple[Component, ...]:
    found = [
        Component(
            name=paths.get(each["component"]["parentGroupId"], "") + each["component"]["name"],
            type=each["component"]["type"].rpartition(".")[2],
            state=each["component"]["state"],
            tasks=((each.get("status") or {}).get("aggregateSnapshot") or {}).get("activeThreadCount") or 0,
            problems=tuple(each["component"].get("validationErrors") or ()),
            id=each["id"],
        )
        for each in entities
    ]
    return tuple(sorted(found, key=lambda each: each.name))


def _board(nifi: Connection) -> list[Any]:
    found = nifi.get("/flow/bulletin-board", limit=1000)["bulletinBoard"]["bulletins"]
    return [each["bulletin"] for each in found if each.get("bulletin")]


def _bulletin(each: Any) -> Bulletin:
    return Bulletin(
        each.get("sourceName") or "", each.get("level") or "", each.get("message") or "", each.get("timestamp") or ""
    )
