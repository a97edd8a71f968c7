"""A flow definition, clean: the same flow gives the same bytes, whichever NiFi it was exported from and when.

NiFi's own export holds what is true of one canvas only: the ids of the instances, the order they happened to be in,
the descriptors of every property, the values that are not set. What is left here is what NiFi needs to import it,
found by importing: of the descriptors, those of secrets and of references to controller services.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path

Definition = dict[str, Any]

ROOT: Final = "00000000-0000-0000-0000-000000000000"  # NiFi gives the outermost group a new identifier at each import
COMPONENTS: Final = (
    "processGroups",
    "remoteProcessGroups",
    "processors",
    "inputPorts",
    "outputPorts",
    "connections",
    "labels",
    "funnels",
    "controllerServices",
)
RECORD: Final = "penstock.record"  # a parameter of ours, which is no part of the flow
_KEPT: Final = ("flowContents", "parameterContexts", "externalControllerServices", "parameterProviders")
_INSTANCE: Final = frozenset({"instanceIdentifier", "instanceGroupId"})
_UNORDERED: Final = frozenset({"autoTerminatedRelationships", "selectedRelationships", "retriedRelationships"})
_DESCRIBED: Final = ("identifiesControllerService", "sensitive")
_GROUP_KEYS: Final = frozenset({"identifier", "groupIdentifier", "groupId"})
_ENDPOINT: Final = ("id", "type", "groupId")  # its name and comments are those of the component
_OUR_LINE: Final = re.compile(r"\s*^Penstock: .*\Z", re.MULTILINE | re.DOTALL)


def load(path: Path) -> Definition:
    """A flow definition from a file, clean.

    Raises:
        SetupError: the file cannot be read, or is none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SetupError(f"cannot read the flow definition {path}: {error.strerror}") from None
    except ValueError:
        raise SetupError(f"{path} is not a flow definition: no JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get("flowContents"), dict):
        raise SetupError(f"{path} is not a flow definition: it has no flowContents")
    return clean(found)


def to_text(definition: Definition) -> str:
    """The definition as a file: sorted, indented, a newline at the end."""
    return json.dumps(definition, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def clean(raw: Definition, name: str | None = None) -> Definition:
    """What of NiFi's export is the flow itself; cleaning twice changes nothing.

    Args:
        raw: a flow definition as NiFi exports it.
        name: of the flow, instead of the one in the definition; its parameter context has the same.
    """
    contents = raw["flowContents"]
    old = contents.get("parameterContextName") or contents.get("name") or ""
    flow = name or contents.get("name") or "flow"
    kept: Definition = {key: _plain(raw[key]) for key in _KEPT if key in raw}
    kept["flowEncodingVersion"] = raw.get("flowEncodingVersion", "1.0")
    kept["flowContents"] = _rerooted(kept["flowContents"], contents.get("identifier", ROOT))
    kept["flowContents"].pop("position", None)
    kept["flowContents"]["name"] = flow
    kept["flowContents"]["comments"] = own_comments(contents.get("comments") or "")
    contexts = _contexts(raw.get("parameterContexts") or {})
    names = {context: flow if context == old else context.removeprefix(f"{old}: ") for context in contexts}
    return _with_contexts(kept, contexts, names)


def placed(definition: Definition, name: str, context: str | None = None) -> Definition:
    """The definition for a deployment: its parameter contexts have names of its own, so that it shares none.

    Args:
        definition: clean.
        name: of the deployment's group.
        context: name of its parameter context, that of the group where not given.
    """
    own = context or name
    old = definition["flowContents"].get("parameterContextName") or definition["flowContents"]["name"]
    contexts = dict(definition.get("parameterContexts") or {})
    contexts.setdefault(old, empty_context(old))
    names = {each: own if each == old else f"{own}: {each}" for each in contexts}
    contents = definition["flowContents"] | {"name": name, "parameterContextName": old}
    return _renamed(definition | {"flowContents": contents}, contexts, names)


def own_comments(comments: str) -> str:
    """The comments of a group without the line that Penstock puts under them."""
    return _OUR_LINE.sub("", comments)


def empty_context(name: str) -> Definition:
    """A parameter context without parameters."""
    return {"name": name, "parameters": [], "inheritedParameterContexts": [], "componentType": "PARAMETER_CONTEXT"}


def _plain(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return _plain_table(value, key)
    if isinstance(value, list):
        items = [_plain(item) for item in value]
        if key in COMPONENTS or all(isinstance(item, dict) and "identifier" in item for item in items):
            return sorted(items, key=lambda item: str(item.get("identifier")))
        if key == "controllerServiceApis":
            return sorted(items, key=lambda item: str(item.get("type")))
        return sorted(items) if key in _UNORDERED else items
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _plain_table(table: dict[str, Any], key: str) -> dict[str, Any]:
    if key == "propertyDescriptors":
        return {name: _plain(about) for name, about in table.items() if any(about.get(told) for told in _DESCRIBED)}
    if key in ("source", "destination") and "REMOTE" not in str(table.get("type")):
        return {name: table[name] for name in _ENDPOINT if name in table}
    return {name: _plain(each, name) for name, each in table.items() if each is not None and name not in _INSTANCE}


def _rerooted(value: Any, root: str) -> Any:
    if isinstance(value, dict):
        return {
            name: ROOT
            if name in ("identifier", "groupIdentifier", "groupId") and each == root
            else _rerooted(each, root)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_rerooted(item, root) for item in value]
    return value


def _contexts(contexts: Definition) -> Definition:
    cleaned = {}
    for name, context in contexts.items():
        parameters = [_plain(each) for each in context.get("parameters") or [] if each["name"] != RECORD]
        for each in parameters:
            if each.get("sensitive"):
                each.pop("value", None)
        cleaned[name] = _plain(context) | {"parameters": sorted(parameters, key=lambda each: str(each["name"]))}
    return cleaned


def _with_contexts(definition: Definition, contexts: Definition, names: dict[str, str]) -> Definition:
    """Leaves a context out that holds nothing, for each deployment has one even where its flow needs none."""
    own = definition["flowContents"].get("parameterContextName")
    if own in contexts and not contexts[own]["parameters"] and not contexts[own].get("inheritedParameterContexts"):
        contexts = {name: context for name, context in contexts.items() if name != own}
        definition["flowContents"].pop("parameterContextName")
    return _renamed(definition, contexts, names)


def _renamed(definition: Definition, contexts: Definition, names: dict[str, str]) -> Definition:
    renamed = {
        names[name]: context
        | {
            "name": names[name],
            "inheritedParameterContexts": [
                names.get(each, each) for each in context.get("inheritedParameterContexts") or []
            ],
        }
        for name, context in contexts.items()
    }
    return definition | {
        "parameterContexts": renamed,
        "flowContents": _group_renamed(definition["flowContents"], names),
    }


def _group_renamed(group: Definition, names: dict[str, str]) -> Definition:
    changed = group | {"processGroups": [_group_renamed(each, names) for each in group.get("processGroups") or []]}
    if "parameterContextName" in group:
        changed["parameterContextName"] = names.get(group["parameterContextName"], group["parameterContextName"])
    return changed
