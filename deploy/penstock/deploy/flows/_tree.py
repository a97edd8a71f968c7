"""A definition as nested tables, so that two of them can be compared place by place.

NiFi's lists of components become tables by identifier, and lists of parameters become tables by name: what was
lists of the same things in another order are equal tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from penstock.deploy.flows._definition import COMPONENTS, Definition

if TYPE_CHECKING:
    from collections.abc import Iterator

Tree = dict[str, Any]

LAYOUT: Final = frozenset({"position", "bends", "labelIndex", "zIndex", "style", "width", "height"})


def to_tree(definition: Definition) -> Tree:
    """The tables of a clean definition."""
    return {key: _tables(each, key) for key, each in definition.items()}


def to_definition(tree: Tree) -> Definition:
    """The definition of a tree; the other way round."""
    return {key: _lists(each, key) for key, each in tree.items()}


def groups(tree: Tree) -> Iterator[tuple[str, Tree]]:
    """Every process group with the names that lead to it, the outermost first and with an empty path."""
    yield from _groups(tree["flowContents"], "")


def components(tree: Tree) -> Iterator[tuple[str, str, Tree, Tree]]:
    """Every component: the path of its group, its kind (such as ``processors``), its group and itself."""
    for path, group in groups(tree):
        for kind in COMPONENTS:
            for component in group.get(kind, {}).values():
                yield path, kind, group, component


def without_layout(value: Any) -> Any:
    """The same without what only looks."""
    if isinstance(value, dict):
        return {name: without_layout(each) for name, each in value.items() if name not in LAYOUT}
    return value


def _groups(group: Tree, path: str) -> Iterator[tuple[str, Tree]]:
    yield path, group
    for inner in group.get("processGroups", {}).values():
        yield from _groups(inner, f"{path}{inner['name']}/")


def _tables(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _tables(each, key) for key, each in value.items()}
    if isinstance(value, list) and (name in COMPONENTS or name == "parameters"):
        key = "name" if name == "parameters" else "identifier"
        return {str(item[key]): _tables(item, "") for item in value}
    return value


def _lists(value: Any, name: str) -> Any:
    if not isinstance(value, dict):
        return value
    if name in COMPONENTS or name == "parameters":
        return [_lists(value[key], "") for key in sorted(value)]
    return {key: _lists(each, key) for key, each in value.items()}
