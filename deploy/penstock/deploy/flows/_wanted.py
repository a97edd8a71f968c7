"""A template with the values of one deployment in it."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from penstock.deploy.flows._spec import Override
from penstock.deploy.flows._tree import Tree, components, to_definition, to_tree
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.deploy.flows._definition import Definition


@dataclass(frozen=True, slots=True)
class Values:
    """What a deployment has instead of what its template says."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    processors: Mapping[str, Override] = field(default_factory=dict)
    services: Mapping[str, Override] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """As JSON, for the record."""
        return {
            "parameters": dict(self.parameters),
            "processors": {name: asdict(each) for name, each in self.processors.items()},
            "services": {name: asdict(each) for name, each in self.services.items()},
        }

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> Values:
        """The other way round."""
        return cls(
            parameters=dict(plain["parameters"]),
            processors={name: Override(**each) for name, each in plain["processors"].items()},
            services={name: Override(**each) for name, each in plain["services"].items()},
        )


def with_values(definition: Definition, values: Values, *, create: bool = False) -> Definition:
    """The definition with these values in it.

    Args:
        definition: clean.
        values: what to set.
        create: make parameters that the definition does not have, for a flow without a template.

    Raises:
        SetupError: it has no such parameter, processor or service.
    """
    tree = copy.deepcopy(to_tree(definition))
    for name, value in values.parameters.items():
        _parameter(tree, name, create=create)["value"] = value
    for kind, overrides in (("processors", values.processors), ("controllerServices", values.services)):
        for name, override in overrides.items():
            _override(_component(tree, kind, name), override)
    return to_definition(tree)


def check_secrets(tree: Tree, names: Mapping[str, str]) -> None:
    """Raise ``SetupError`` when one of the names is no sensitive parameter of the flow."""
    for name in names:
        found = _find(tree, name)
        if found is None:
            raise SetupError(_unknown(tree, name))
        if not found.get("sensitive"):
            raise SetupError(f"parameter '{name}' is no secret; give it like the other parameters")


def _parameter(tree: Tree, name: str, *, create: bool) -> Tree:
    found = _find(tree, name)
    if found is None:
        if not create:
            raise SetupError(_unknown(tree, name))
        contents = tree["flowContents"]
        own = contents.setdefault("parameterContextName", contents["name"])
        empty = {
            "name": own,
            "parameters": {},
            "inheritedParameterContexts": [],
            "componentType": "PARAMETER_CONTEXT",
        }
        found = {"name": name, "sensitive": False, "provided": False}
        tree["parameterContexts"].setdefault(own, empty)["parameters"][name] = found
    if found.get("sensitive"):
        raise SetupError(f"parameter '{name}' is a secret: give it as one, not as a plain value")
    return found


def _find(tree: Tree, name: str) -> Tree | None:
    """The parameter, in the flow's own context before the others."""
    contexts = tree.get("parameterContexts", {})
    own = tree["flowContents"].get("parameterContextName")
    for context in sorted(contexts, key=lambda each: (each != own, each)):
        found: Tree | None = contexts[context]["parameters"].get(name)
        if found is not None:
            return found
    return None


def _unknown(tree: Tree, name: str) -> str:
    known = sorted({each for context in tree.get("parameterContexts", {}).values() for each in context["parameters"]})
    there = f"it has {', '.join(known)}" if known else "it has none"
    return f"the flow has no parameter '{name}'; {there}"


def _component(tree: Tree, kind: str, name: str) -> Tree:
    noun = "processor" if kind == "processors" else "service"
    all_of_them = [(path + item["name"], item) for path, each, _, item in components(tree) if each == kind]
    found = [item for full, item in all_of_them if name in (full, item["name"])]
    exact = [item for full, item in all_of_them if name == full]
    if len(exact) == 1:
        return exact[0]
    if len(found) != 1:
        names = ", ".join(sorted(full for full, _ in all_of_them)) or "none"
        problem = f"has no {noun} '{name}'" if not found else f"has {len(found)} {noun}s '{name}'; name the group, too"
        raise SetupError(f"the flow {problem}; there are: {names}")
    return found[0]


def _override(component: Tree, override: Override) -> None:
    settings = {
        "concurrentlySchedulableTaskCount": override.tasks,
        "schedulingPeriod": override.schedule,
        "runDurationMillis": override.run_duration,
    }
    component.update({name: value for name, value in settings.items() if value is not None})
    properties = component.setdefault("properties", {})
    for name, value in override.properties.items():
        if value is None:
            properties.pop(name, None)
        else:
            properties[name] = value
