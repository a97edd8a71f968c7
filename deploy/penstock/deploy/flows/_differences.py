"""What differs between two definitions, in words that somebody who looks at the canvas understands."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from penstock.deploy.flows._definition import COMPONENTS
from penstock.deploy.flows._tree import LAYOUT, Tree, components, groups

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS: Final = {
    "processGroups": "group",
    "remoteProcessGroups": "remote group",
    "processors": "processor",
    "inputPorts": "input port",
    "outputPorts": "output port",
    "connections": "connection",
    "labels": "label",
    "funnels": "funnel",
    "controllerServices": "service",
}
_FIELDS: Final = {
    "schedulingPeriod": "schedule",
    "schedulingStrategy": "scheduling",
    "concurrentlySchedulableTaskCount": "tasks",
    "runDurationMillis": "run duration (ms)",
    "autoTerminatedRelationships": "ended relationships",
    "selectedRelationships": "relationships",
    "scheduledState": "state",
    "parameterContextName": "parameter context",
}
# Which bundle a type comes from is the choice of the NiFi; the rest follows from what is compared anyway.
_UNTOLD: Final = frozenset({"identifier", "groupIdentifier", "propertyDescriptors", "bundle", "controllerServiceApis"})
_LONGEST: Final = 80  # characters of a value; the export has all of it


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        kind: ``added``, ``removed``, ``changed`` or ``moved`` (only looks different).
        where: what it is about, such as ``processor 'Fetch/GetFile'``.
        what: the property or setting; empty where it is the whole of it.
        before: its value there; None where there is none.
        after: its value here.
    """

    kind: str
    where: str
    what: str = ""
    before: object = None
    after: object = None

    def __str__(self) -> str:
        if self.kind == "changed":
            return f"{self.where}: {self.what}: {_short(self.before)} → {_short(self.after)}"
        return f"{self.where} {self.kind}"


def differences(before: Tree, after: Tree) -> tuple[Change, ...]:
    """What has to be done to get from ``before`` to ``after``, without the names of flow and contexts."""
    return (*_of_contents(before, after), *_of_parameters(before, after))


def _of_contents(before: Tree, after: Tree) -> Iterator[Change]:
    old, new = dict(_told(before)), dict(_told(after))
    yield from _of_fields("the flow", before["flowContents"], after["flowContents"], skip=frozenset({"name"}))
    for identifier in sorted(old.keys() | new.keys(), key=lambda each: (new.get(each) or old[each])[0]):
        if identifier not in new:
            yield Change("removed", old[identifier][0])
        elif identifier not in old:
            yield Change("added", new[identifier][0])
        else:
            yield from _of_fields(new[identifier][0], old[identifier][1], new[identifier][1])


def _told(tree: Tree) -> Iterator[tuple[str, tuple[str, Tree]]]:
    names = {item["identifier"]: item.get("name") or "funnel" for _, _, _, item in components(tree)}
    for path, kind, _, item in components(tree):
        if kind == "connections":
            ends = (names.get(item[side]["id"], "?") for side in ("source", "destination"))
            relationships = ", ".join(item.get("selectedRelationships") or ())
            name = f"{path}{' → '.join(ends)}" + (f" ({relationships})" if relationships else "")
        else:
            name = path + (item.get("name") or item.get("label") or "").replace("\n", " ")[:_LONGEST]
        yield item["identifier"], (f"{_KINDS[kind]} '{name}'" if name else _KINDS[kind], item)


def _of_fields(where: str, old: Tree, new: Tree, skip: frozenset[str] = frozenset()) -> Iterator[Change]:
    untold = _UNTOLD | LAYOUT | skip | set(COMPONENTS) | {"properties"}
    if any(old.get(name) != new.get(name) for name in LAYOUT):
        yield Change("moved", where)
    for name in sorted((old.keys() | new.keys()) - untold):
        if old.get(name) != new.get(name):
            yield Change("changed", where, _FIELDS.get(name, _words(name)), old.get(name), new.get(name))
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Change("changed", where, _property(name, old, new), before.get(name), after.get(name))


def _property(name: str, *owners: Tree) -> str:
    shown = (owner.get("propertyDescriptors", {}).get(name, {}).get("displayName") for owner in owners)
    return next((each for each in shown if each), name)


def _of_parameters(before: Tree, after: Tree) -> Iterator[Change]:
    old, new = dict(_parameters(before)), dict(_parameters(after))
    for key in sorted(old.keys() | new.keys()):
        where = f"parameter '{key}'"
        if key not in new:
            yield Change("removed", where)
        elif key not in old:
            yield Change("added", where)
        else:
            yield from (
                Change("changed", where, name, old[key].get(name), new[key].get(name))
                for name in ("value", "description", "sensitive")
                if old[key].get(name) != new[key].get(name)
            )


def _parameters(tree: Tree) -> Iterator[tuple[str, Tree]]:
    own = tree["flowContents"].get("parameterContextName")
    for context, about in tree.get("parameterContexts", {}).items():
        for name, parameter in about["parameters"].items():
            yield (name if context == own else f"{context}: {name}"), parameter


def paths(tree: Tree) -> dict[str, str]:
    """The identifier of every group by its path, for messages and for look-ups."""
    return {path: group["identifier"] for path, group in groups(tree)}


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def _short(value: Any) -> str:
    if value is None:
        return "not set"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text.replace("\n", "⏎") or '""'
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
