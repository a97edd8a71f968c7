"""A new deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.deploy.flows._contexts import contexts, create_context, delete_context, set_parameters
from penstock.deploy.flows._definition import Definition, clean, placed
from penstock.deploy.flows._held import with_line
from penstock.deploy.flows._record import record_of, to_parameter
from penstock.deploy.flows._states import group, validated
from penstock.deploy.flows._tree import components, to_tree
from penstock.deploy.flows._wanted import check_secrets, with_values
from penstock.proto.errors import RequestError, SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.deploy.canvas import Connection
    from penstock.deploy.flows._template import Template
    from penstock.deploy.flows._wanted import Values


def create(
    nifi: Connection, name: str, template: Template, values: Values, secrets: Mapping[str, str], parent: str
) -> str:
    """Make it, stopped; gives the id of its group. Nothing is left behind when it fails.

    Raises:
        RequestError: the name is taken, or NiFi refuses.
        SetupError: the template has no such parameter, or needs a component that this NiFi does not have.
    """
    if not name.strip() or name != name.strip():
        raise SetupError("the name of a deployment must not be empty, nor begin or end with a space")
    wanted = with_values(template.definition, values, create=not template.name)
    check_secrets(to_tree(wanted), dict(secrets))
    check_types(nifi, wanted)
    where = str(group(nifi, parent)["id"])
    _check_name(nifi, name, where)
    context = _own_context(nifi, name)
    made = ""
    try:
        made = _import(nifi, where, name, wanted)
        set_secrets(nifi, name, secrets)
        finish(nifi, made, context, template, values, wanted)
    except BaseException:
        _undo(nifi, made, name)
        raise
    return made


def finish(nifi: Connection, made: str, context: str, template: Template, values: Values, wanted: Definition) -> None:
    """Note what the new group was made of, when NiFi has filled in the rest."""
    validated(nifi, made)
    deployed = clean(nifi.get(f"/process-groups/{made}/download"), wanted["flowContents"]["name"])
    record = record_of(made, template, values, wanted, deployed)
    set_parameters(nifi, context, [to_parameter(record)])
    entity = group(nifi, made)
    comments = with_line(entity, line_of(record.label) if template.name else "made without a template")
    nifi.put(
        f"/process-groups/{made}", {"revision": entity["revision"], "component": {"id": made, "comments": comments}}
    )


def line_of(label: str) -> str:
    """What the canvas says under the group's comments."""
    return f"from the template {label}; `penstock flow` keeps it"


def set_secrets(nifi: Connection, name: str, secrets: Mapping[str, str]) -> None:
    """Give sensitive parameters their values, in whichever context of the deployment they are."""
    for context in contexts(nifi):
        if context.name == name or context.name.startswith(f"{name}: "):
            mine = [each for each in secrets if context.parameters.get(each, {}).get("sensitive")]
            parameters = [{"name": each, "value": secrets[each], "sensitive": True} for each in mine]
            set_parameters(nifi, context.id, parameters)


def check_types(nifi: Connection, definition: Definition) -> None:
    """Raise ``SetupError`` when the NiFi lacks a processor or controller service that the flow has."""
    for kind, path, listed in (
        ("processors", "/flow/processor-types", "processorTypes"),
        ("controllerServices", "/flow/controller-service-types", "controllerServiceTypes"),
    ):
        wanted = {item["type"] for _, each, _, item in components(to_tree(definition)) if each == kind}
        missing = wanted - {each["type"] for each in nifi.get(path)[listed]} if wanted else set()
        if missing:
            names = ", ".join(sorted(each.rpartition(".")[2] for each in missing))
            raise SetupError(
                f"NiFi at {nifi.address} does not have {names}; `penstock nifi install` brings Penstock's own, "
                "others come in a NAR"
            )


def _check_name(nifi: Connection, name: str, parent: str) -> None:
    siblings = nifi.get(f"/process-groups/{parent}/process-groups")["processGroups"]
    if any(each["component"]["name"] == name for each in siblings if each.get("component")):
        ours = any(
            (record := context.record()) is not None and context.groups.get(record.group) == name
            for context in contexts(nifi)
        )
        whose = "a deployment" if ours else "a process group that Penstock did not make"
        raise _taken(f"{whose} is called '{name}' already; choose another name")


def _own_context(nifi: Connection, name: str) -> str:
    try:
        return create_context(nifi, name)
    except RequestError as error:
        if error.http_status != 409:
            raise
    there = next((each for each in contexts(nifi) if each.name == name), None)
    record = there.record() if there else None
    if there is None or record is None:
        raise _taken(f"a parameter context '{name}' is there already; choose another name")
    if there.groups:
        now = there.groups.get(record.group) or next(iter(there.groups.values()))
        raise _taken(f"the deployment '{name}' is there already, under the name '{now}'; choose another name")
    delete_context(nifi, there.id)  # left over from a deployment whose group somebody deleted on the canvas
    return create_context(nifi, name)


def _import(nifi: Connection, parent: str, name: str, wanted: Definition) -> str:
    with nifi.nipyapi() as nipyapi:
        x, y = nipyapi.layout.suggest_pg_position(parent)
    body: dict[str, Any] = {
        "groupId": parent,
        "groupName": name,
        "positionDTO": {"x": x, "y": y},
        "revisionDTO": {"version": 0},
        "flowSnapshot": placed(wanted, name),
    }
    return str(nifi.post(f"/process-groups/{parent}/process-groups/import", body)["id"])


def _undo(nifi: Connection, made: str, name: str) -> None:
    from penstock.deploy.flows._removing import remove

    try:
        if made:
            remove(nifi, made)
        for context in contexts(nifi):
            if context.name == name or context.name.startswith(f"{name}: "):
                delete_context(nifi, context.id)
    except (RequestError, OSError):
        return  # the reason of the failure is worth more than this one


def _taken(message: str) -> RequestError:
    return RequestError(message, code="FLOW_EXISTS", http_status=409, grpc_status="ALREADY_EXISTS")
