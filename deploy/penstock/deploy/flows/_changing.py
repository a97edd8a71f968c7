"""Changing a deployment in place: apply and upgrade.

1. The deployment is held, so that nobody else changes it meanwhile.
2. Parameters that are new or have another value are set.
3. NiFi replaces the contents of the group: components with the same identifier stay, with their queues.
4. What is invalid now and was not before makes everything go back: contents, parameters, and what ran.
5. Parameters that are no longer there are removed, and what should run is started.
6. The record is written.

Cut off anywhere, the next apply finds canvas and record as they are and does the rest: a place that already has the
new value is no difference any more.
"""

from __future__ import annotations

from dataclasses import replace as with_fields
from typing import TYPE_CHECKING, Any

from penstock.deploy.flows import _states as states
from penstock.deploy.flows._asking import with_fresh_revision
from penstock.deploy.flows._contexts import Context, contexts, set_parameters
from penstock.deploy.flows._creating import check_types, line_of, set_secrets
from penstock.deploy.flows._definition import Definition, clean, placed
from penstock.deploy.flows._found import Deployment, find
from penstock.deploy.flows._held import Hold, held, with_line
from penstock.deploy.flows._merge import rebased
from penstock.deploy.flows._planning import Plan, Target, instances, plan, removed_connections
from penstock.deploy.flows._record import record_of, to_parameter
from penstock.deploy.flows._tree import Tree, components, to_definition, to_tree
from penstock.proto.errors import PenstockError, RequestError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penstock.deploy.canvas import Connection

_STARTABLE = {"processors": "processors", "inputPorts": "input-ports", "outputPorts": "output-ports"}


def change(
    nifi: Connection, name: str, target: Target, *, secrets: Mapping[str, str], running: bool | None
) -> tuple[Deployment, Plan]:
    """Make the deployment what the target says, and give what was done.

    Args:
        nifi: the NiFi.
        name: of the deployment.
        target: what it should become.
        secrets: values of sensitive parameters, to be set whatever they were.
        running: whether it should run afterwards; None is as before.

    Raises:
        RequestError: FlowFiles are queued where a connection would go, or the new version is not valid.
        Unavailable: the connection broke; the same change again does what is left of it.
    """
    deployment = find(nifi, name)
    with held(nifi, deployment.group) as hold:
        try:
            return _change(nifi, deployment.group, target, hold, secrets, running=running)
        except Unavailable as error:
            raise Unavailable(f"{error.message}; run the same command again when it is back") from None


def _change(
    nifi: Connection, group: str, target: Target, hold: Hold, secrets: Mapping[str, str], *, running: bool | None
) -> tuple[Deployment, Plan]:
    deployment = find(nifi, group)
    thought = plan(nifi, deployment, target)
    check_types(nifi, to_definition(thought.merged))
    if secrets:
        set_secrets(nifi, deployment.context.name, secrets)
    if thought.changes:
        _carry_out(nifi, deployment, thought, hold, running=running)
    _set_running(nifi, group, target, running=running)
    _write_record(nifi, deployment, target, thought)
    hold.label = line_of(find(nifi, group).record.label)
    return deployment, thought


def _carry_out(nifi: Connection, deployment: Deployment, thought: Plan, hold: Hold, *, running: bool | None) -> None:
    _check_queues(nifi, deployment, thought)
    group = deployment.group
    ran = states.running(nifi, group)
    invalid = {each.id for each in states.validated(nifi, group)}
    try:
        _set_changed(nifi, thought.ours, thought.merged, deployment.context.name)
        _replace(nifi, deployment, thought.merged, hold)
        after = nifi.get(f"/process-groups/{group}/download")
        fresh = _new(thought.raw, after)
        _check_valid(nifi, group, invalid)
        if ran and running is not False:
            states.enable_services(nifi, group)
            _check_valid(nifi, group, invalid)
            _start(nifi, [*fresh, *_stopped(nifi, group, ran)])
    except Unavailable:  # nothing can be taken back now; the next try does the rest
        raise
    except PenstockError as error:
        _go_back(nifi, deployment, thought, hold, ran, error)
        raise with_message(error, f"{error.message}; '{deployment.name}' is as it was before") from None
    _remove_parameters(nifi, thought, deployment.context.name)


def _check_valid(nifi: Connection, group: str, before: set[str]) -> None:
    broken = [each for each in states.validated(nifi, group) if each.id not in before]
    if broken:
        told = " | ".join(map(str, broken))
        raise RequestError(f"the new version is not valid: {told}", code="FLOW_INVALID", http_status=409)


def with_message(error: PenstockError, message: str) -> PenstockError:
    """The same error with another message."""
    if isinstance(error, RequestError):
        return RequestError(message, code=error.code, http_status=error.http_status, grpc_status=error.grpc_status)
    return type(error)(message, code=error.code)


def _check_queues(nifi: Connection, deployment: Deployment, thought: Plan) -> None:
    """NiFi refuses this, too; but it says ids, and has stopped half of the flow by then."""
    gone = removed_connections(thought)
    if not gone:
        return
    ids = instances(thought.raw).get("connections", {})
    busy = []
    for identifier in sorted(gone):
        entity = nifi.get(f"/connections/{ids[identifier]}")
        queued = int(entity["status"]["aggregateSnapshot"]["flowFilesQueued"])
        if queued:
            ends = (entity["component"][side]["name"] for side in ("source", "destination"))
            busy.append(f"{' → '.join(ends)} ({queued})")
    if busy:
        raise RequestError(
            f"'{deployment.name}' stays as it is: FlowFiles wait in connections that the new version does not have: "
            f"{', '.join(busy)}. Stop what is before them, let them run through, or empty the queues on the canvas",
            code="FLOW_QUEUED",
            http_status=409,
        )


def _replace(nifi: Connection, deployment: Deployment, tree: Tree, hold: Hold) -> None:
    entity = states.group(nifi, deployment.group)
    definition = placed(to_definition(tree), entity["component"]["name"], deployment.context.name)
    contents = definition["flowContents"] | {
        "position": entity["component"]["position"],
        "comments": with_line({"component": {"comments": definition["flowContents"].get("comments")}}, hold.sign),
    }
    states.replace(nifi, deployment.group, definition | {"flowContents": contents})


def _go_back(
    nifi: Connection, deployment: Deployment, thought: Plan, hold: Hold, ran: Mapping[str, str], reason: PenstockError
) -> None:
    try:
        _replace(nifi, deployment, thought.ours, hold)
        _set_changed(nifi, thought.merged, thought.ours, deployment.context.name)
        _remove_parameters(
            nifi, with_fields(thought, ours=thought.merged, merged=thought.ours), deployment.context.name
        )
        if ran:
            states.enable_services(nifi, deployment.group)
            _start(nifi, _stopped(nifi, deployment.group, ran))
    except PenstockError as error:
        raise with_message(
            error, f"{reason.message}; and it could not be taken back: {error.message}. Look at the canvas"
        ) from None


def _set_running(nifi: Connection, group: str, target: Target, *, running: bool | None) -> None:
    """Where a part runs, the rest was stopped on the canvas, and stays so."""
    active = states.running(nifi, group)
    if running is False and active:
        states.stop(nifi, group)
    elif running and (not active or target.overwrite):
        states.start(nifi, group)


def _write_record(nifi: Connection, deployment: Deployment, target: Target, thought: Plan) -> None:
    after = to_tree(clean(nifi.get(f"/process-groups/{deployment.group}/download"), deployment.record.flow))
    # What NiFi filled in is no change of a person; nor is it where a former try had put the component there already.
    deployed = rebased(thought.merged, after, thought.theirs)
    _fill(deployed, after, known=to_tree(deployment.record.deployed))
    record = record_of(deployment.group, target.template, target.values, thought.wanted, to_definition(deployed))
    if record != deployment.record:
        set_parameters(nifi, deployment.context.id, [to_parameter(record)])


def _fill(deployed: Tree, after: Tree, *, known: Tree) -> None:
    there = {item["identifier"]: item for _, _, _, item in components(after)}
    former = {item["identifier"] for _, _, _, item in components(known)}
    for _, _, _, item in components(deployed):
        if item["identifier"] not in former and "properties" in item:
            filled = there.get(item["identifier"], {})
            for table in ("properties", "propertyDescriptors"):
                item[table] = filled.get(table, {}) | item.get(table, {})


def _set_changed(nifi: Connection, before: Tree, after: Tree, own: str) -> None:
    for context, old, new in _parameters(nifi, before, after, own):
        set_parameters(
            nifi,
            context.id,
            [
                {name: each.get(name) for name in ("name", "value", "sensitive", "description")}
                for key, each in new.items()
                if each != old.get(key) and not (each.get("sensitive") and key in context.parameters)
            ],
        )


def _remove_parameters(nifi: Connection, thought: Plan, own: str) -> None:
    for context, old, new in _parameters(nifi, thought.ours, thought.merged, own):
        gone = [name for name in old if name not in new and name in context.parameters]
        set_parameters(nifi, context.id, [{"name": name} for name in gone])


def _parameters(nifi: Connection, before: Tree, after: Tree, own: str) -> Iterable[tuple[Context, Tree, Tree]]:
    """The contexts that are there, with the parameters of both sides."""
    root = after["flowContents"].get("parameterContextName") or before["flowContents"].get("parameterContextName")
    there = {each.name: each for each in contexts(nifi)}
    for name in before.get("parameterContexts", {}).keys() | after.get("parameterContexts", {}).keys():
        context = there.get(own if name == root else f"{own}: {name}")
        if context is not None:
            sides = (side.get("parameterContexts", {}).get(name, {}).get("parameters", {}) for side in (before, after))
            yield context, *sides


def _new(before: Definition, after: Definition) -> list[str]:
    old, new = instances(before), instances(after)
    return [
        f"/{path}/{identifier}"
        for kind, path in _STARTABLE.items()
        for identifier in sorted(set(new.get(kind, {}).values()) - set(old.get(kind, {}).values()))
    ]


def _stopped(nifi: Connection, group: str, ran: Mapping[str, str]) -> list[str]:
    """What ran before and does not run any more."""
    there: list[Any] = states.processors(nifi, group)
    return [
        f"/processors/{each['id']}" for each in there if each["id"] in ran and each["component"]["state"] == "STOPPED"
    ]


def _start(nifi: Connection, paths: Iterable[str]) -> None:
    for path in dict.fromkeys(paths):

        def start(path: str = path) -> None:
            entity = nifi.get(path)
            if entity["component"]["state"] == "STOPPED" and entity["component"].get("validationStatus") != "INVALID":
                nifi.put(f"{path}/run-status", {"revision": entity["revision"], "state": "RUNNING"})

        with_fresh_revision(start)
