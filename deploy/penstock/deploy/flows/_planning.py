"""What a change of a deployment would do: three definitions in, one definition and a list of differences out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.deploy.flows._definition import COMPONENTS, Definition, clean
from penstock.deploy.flows._differences import Change, differences
from penstock.deploy.flows._merge import Conflict, merge, rebased
from penstock.deploy.flows._tree import Tree, components, to_tree
from penstock.deploy.flows._wanted import Values, with_values

if TYPE_CHECKING:
    from penstock.deploy.canvas import Connection
    from penstock.deploy.flows._found import Deployment
    from penstock.deploy.flows._template import Template


@dataclass(frozen=True, slots=True)
class Target:
    """What a deployment is to be made of.

    Attributes:
        template: the flow.
        values: what it gets instead of what the template says.
        overwrite: whether changes that were made on the canvas are undone.
    """

    template: Template
    values: Values
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A change that was thought through.

    Attributes:
        raw: the group as NiFi exports it, with the ids of its instances.
        ours: the canvas now.
        merged: what it becomes.
        theirs: what it would become without the changes made on the canvas.
        wanted: the template with the values in it.
        changes: from ``ours`` to ``merged``.
        conflicts: where the canvas keeps what the template has changed, too.
    """

    raw: Definition
    ours: Tree
    merged: Tree
    theirs: Tree
    wanted: Definition
    changes: tuple[Change, ...]
    conflicts: tuple[str, ...]


def plan(nifi: Connection, deployment: Deployment, target: Target) -> Plan:
    """Compare template then, canvas now and template new.

    Raises:
        SetupError: the template has no parameter or processor for one of the values.
    """
    record = deployment.record
    raw = nifi.get(f"/process-groups/{deployment.group}/download")
    ours = to_tree(clean(raw, record.flow))
    template = clean(target.template.definition, record.flow)
    wanted = with_values(template, target.values, create=not target.template.name)
    deployed = to_tree(record.deployed)
    theirs = rebased(to_tree(record.wanted), to_tree(wanted), deployed)
    conflicts: list[Conflict] = []
    merged = theirs
    if not target.overwrite:
        merged, conflicts = merge(deployed, ours, theirs)
    told = tuple(_told(each, ours, theirs) for each in conflicts)
    return Plan(raw, ours, merged, theirs, wanted, differences(ours, merged), told)


def instances(raw: Definition) -> dict[str, dict[str, str]]:
    """For each kind of component, the ids on the canvas by the identifiers in the definition."""
    found: dict[str, dict[str, str]] = {}

    def walk(group: dict[str, Any]) -> None:
        for kind, items in group.items():
            if isinstance(items, list):
                for item in items:
                    if isinstance(item, dict) and "instanceIdentifier" in item:
                        found.setdefault(kind, {})[item["identifier"]] = item["instanceIdentifier"]
        for inner in group.get("processGroups", ()):
            walk(inner)

    walk(raw["flowContents"])
    return found


def removed_connections(plan: Plan) -> set[str]:
    """Identifiers of the connections that would go."""

    def there(tree: Tree) -> set[str]:
        return {item["identifier"] for _, kind, _, item in components(tree) if kind == "connections"}

    return there(plan.ours) - there(plan.merged)


def _told(conflict: Conflict, *trees: Tree) -> str:
    names = {item["identifier"]: item.get("name", "") for tree in trees for _, _, _, item in components(tree)}
    words = [names.get(key, key) for key in conflict.path if key not in _BORING]
    where = " / ".join(word for word in words if word)
    return f"{where}: the canvas keeps {_short(conflict.ours)}, the template has {_short(conflict.theirs)}"


_BORING = frozenset({"flowContents", "parameterContexts", "parameters", "properties", *COMPONENTS})


def _short(value: object) -> str:
    if value is None:
        return "it removed"
    if isinstance(value, dict):
        return "it"
    return repr(value)[:80]
