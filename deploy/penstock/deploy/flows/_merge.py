"""The three-way merge: what the template changed goes in, what people changed on the canvas stays.

``base`` is the canvas as it was deployed, ``ours`` the canvas now, ``theirs`` what the new template makes of it.
Where only one side differs from the base, that side is taken, down to a single property; where both do, the canvas
wins, and the place is told.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import Any, Final

from penstock.deploy.flows._tree import Tree, components, groups, without_layout

_ABSENT: Final = object()
_PARAMETER: Final = re.compile(r"#\{'?([^}']+)'?\}")


@dataclass(frozen=True, slots=True)
class Conflict:
    """A place that both sides changed; the canvas won.

    Attributes:
        path: keys from the outside inwards.
        ours: the value that stays; None where it was removed.
        theirs: the template's new value; None where it was removed.
    """

    path: tuple[str, ...]
    ours: object
    theirs: object


def rebased(before: Tree, after: Tree, deployed: Tree) -> Tree:
    """``deployed`` with the change from ``before`` to ``after`` in it.

    NiFi fills in defaults and renames properties when it imports, so a canvas never equals its template. A change of
    the template is therefore applied to what NiFi made of the former one.
    """
    merged: Tree = _merged(before, deployed, after, (), [], prefer_theirs=True)
    return merged


def merge(base: Tree, ours: Tree, theirs: Tree) -> tuple[Tree, list[Conflict]]:
    """The merged tree, and where the two sides contradict each other."""
    conflicts: list[Conflict] = []
    # A copy, for what only one side changed is taken as it is.
    merged = copy.deepcopy(_merged(base, ours, theirs, (), conflicts, prefer_theirs=False))
    _keep_what_is_used(merged, ours, theirs)
    return merged, conflicts


def _merged(
    base: Any, ours: Any, theirs: Any, path: tuple[str, ...], found: list[Conflict], *, prefer_theirs: bool
) -> Any:
    if ours == theirs or base == theirs:
        return ours
    if base == ours:
        return theirs
    if isinstance(ours, dict) and isinstance(theirs, dict):
        before = base if isinstance(base, dict) else {}
        merged = {
            key: _merged(
                before.get(key, _ABSENT),
                ours.get(key, _ABSENT),
                theirs.get(key, _ABSENT),
                (*path, key),
                found,
                prefer_theirs=prefer_theirs,
            )
            # the canvas's order first, so that a merge of the same things is the same
            for key in (*ours, *(key for key in theirs if key not in ours))
        }
        return {key: value for key, value in merged.items() if value is not _ABSENT}
    if theirs is _ABSENT and without_layout(ours) == without_layout(base):
        return _ABSENT  # it was only moved about
    if prefer_theirs:
        return theirs
    found.append(Conflict(path, _shown(ours), _shown(theirs)))
    return ours


def _shown(value: Any) -> object:
    return None if value is _ABSENT else value


def _keep_what_is_used(merged: Tree, ours: Tree, theirs: Tree) -> None:
    """Put back what the template removed but something that stays needs; leave out connections without an end."""
    _keep_connections(merged, ours, theirs)
    known = {item["identifier"]: (group["identifier"], kind, item) for _, kind, group, item in components(ours)}
    while missing := _missing(merged):
        restored = [known[each] for each in missing if each in known]
        places = {group["identifier"]: group for _, group in groups(merged)}
        restorable = [(places[group], kind, item) for group, kind, item in restored if group in places]
        if not restorable:
            break
        for group, kind, item in restorable:
            group.setdefault(kind, {})[item["identifier"]] = item
    lost = _missing(merged)
    for _, group in groups(merged):
        ends = group.get("connections", {})
        for identifier in [each for each, item in ends.items() if _ends(item) & lost]:
            del ends[identifier]
    _keep_parameters(merged, ours, theirs)


def _keep_connections(merged: Tree, ours: Tree, theirs: Tree) -> None:
    """What stays although the template removed it stays connected; it would be invalid otherwise."""
    kept = {item["identifier"] for _, _, _, item in components(merged)}
    kept -= {item["identifier"] for _, _, _, item in components(theirs)}
    places = {group["identifier"]: group for _, group in groups(merged)}
    for _, kind, group, item in components(ours):
        if kind == "connections" and _ends(item) & kept and group["identifier"] in places:
            places[group["identifier"]].setdefault(kind, {}).setdefault(item["identifier"], item)


def _ends(connection: Tree) -> set[str]:
    return {connection["source"]["id"], connection["destination"]["id"]}


def _missing(tree: Tree) -> set[str]:
    """Identifiers that connections and references to controller services name, and that are not there."""
    there: set[str] = set()
    named: set[str] = set()
    for _, kind, _, item in components(tree):
        there.add(item["identifier"])
        if kind == "remoteProcessGroups":
            there |= {port for side in ("inputPorts", "outputPorts") for port in item.get(side, {})}
        if kind == "connections":
            named |= _ends(item)
        for name, about in item.get("propertyDescriptors", {}).items():
            value = item.get("properties", {}).get(name)
            if about.get("identifiesControllerService") and value and not value.startswith("#{"):
                named.add(value)
    return named - there


def _keep_parameters(merged: Tree, ours: Tree, theirs: Tree) -> None:
    """What the template itself uses without having it comes from elsewhere."""
    used = _used_parameters(merged) - _used_parameters(theirs)
    for context, there in merged.get("parameterContexts", {}).items():
        before = ours.get("parameterContexts", {}).get(context, {}).get("parameters", {})
        for name in used & before.keys() - there["parameters"].keys():
            there["parameters"][name] = before[name]


def _used_parameters(tree: Tree) -> set[str]:
    return {
        name
        for _, _, _, item in components(tree)
        for value in item.get("properties", {}).values()
        for name in _PARAMETER.findall(value)
    }
