"""A flow definition, the JSON that NiFi imports, written with few words.

Identifiers follow from names (UUID version 5), so that a flow that is written again is the same flow to NiFi.
What is left out here is NiFi's default, and is filled in when a NiFi exports the flow.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from .shapes import BUNDLES, SERVICE_PROPERTIES

_NAMESPACE = uuid.UUID("6f3c7f6e-94a3-5d0c-a2c8-4a1f6a4c0f11")
# A queue of images or records that waits for a model: enough to keep it busy, little enough to see where it stops.
_QUEUE = {"backPressureObjectThreshold": 1000, "backPressureDataSizeThreshold": "100 MB"}

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Node:
    """Something on the canvas that connections lead from or to."""

    identifier: str
    kind: str
    name: str
    group: str
    at: Point = (0.0, 0.0)


@dataclass(slots=True)
class Group:
    """A process group: its parts are added one by one, `contents` is what NiFi reads."""

    name: str
    path: str
    parent: str | None = None
    comments: str = ""
    position: Point = (0.0, 0.0)
    _context: str = ""
    _parts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _groups: list[Group] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._context = self._context or self.name

    @property
    def identifier(self) -> str:
        """Follows from the path of names."""
        return _identifier(self.path)

    def processor(
        self,
        type_: str,
        at: Point,
        properties: dict[str, str],
        *,
        name: str = "",
        ended: tuple[str, ...] = (),
        again: tuple[str, ...] = (),
        **config: object,
    ) -> Node:
        """Add a processor.

        Args:
            type_: the last part of its type, a key of `BUNDLES`.
            at: its upper left corner.
            properties: by NiFi's internal names.
            name: the type's unless given.
            ended: relationships whose FlowFiles may go.
            again: relationships that NiFi tries again itself, each time after a longer penalty.
            config: further fields of NiFi's, such as `schedulingPeriod`.
        """
        type_name, bundle = BUNDLES[type_]
        node = self._node("PROCESSOR", name or type_, at)
        tried = {"retriedRelationships": list(again), "retryCount": 10, "maxBackoffPeriod": "1 mins"} if again else {}
        self._add(
            "processors",
            node,
            at,
            type=type_name,
            bundle=bundle,
            properties=properties,
            propertyDescriptors=_descriptors(properties),
            autoTerminatedRelationships=list(ended),
            **{**_PROCESSOR, **tried, **config},
        )
        return node

    def service(self, type_: str, properties: dict[str, str], *, name: str = "", comments: str = "") -> str:
        """Add a controller service and return the identifier that properties name it by."""
        type_name, bundle = BUNDLES[type_]
        identifier = _identifier(f"{self.path}/service/{name or type_}")
        self._parts.setdefault("controllerServices", []).append(
            {
                "identifier": identifier,
                "groupIdentifier": self.identifier,
                "componentType": "CONTROLLER_SERVICE",
                "name": name or type_,
                "comments": comments,
                "type": type_name,
                "bundle": bundle,
                "properties": properties,
                "propertyDescriptors": {},
                "controllerServiceApis": [],
                "bulletinLevel": "WARN",
                "scheduledState": "DISABLED",
            }
        )
        return identifier

    def port(self, kind: str, name: str, at: Point) -> Node:
        """Add an `INPUT` or `OUTPUT` port."""
        node = self._node(f"{kind}_PORT", name, at)
        self._add(
            "inputPorts" if kind == "INPUT" else "outputPorts",
            node,
            at,
            type=f"{kind}_PORT",
            concurrentlySchedulableTaskCount=1,
            scheduledState="ENABLED",
            allowRemoteAccess=False,
            portFunction="STANDARD",
        )
        return node

    def funnel(self, name: str, at: Point) -> Node:
        """Add a funnel; `name` is only for its identifier."""
        node = self._node("FUNNEL", name, at)
        self._add("funnels", node, at)
        self._parts["funnels"][-1].pop("name")
        return node

    def label(self, name: str, text: str, at: Point, size: tuple[float, float], *, color: str, font: int = 14) -> None:
        """Add a label; `name` is only for its identifier."""
        node = self._node("LABEL", name)
        self._add(
            "labels",
            node,
            at,
            label=text,
            width=size[0],
            height=size[1],
            zIndex=0,
            style={"background-color": color, "font-size": f"{font}px"},
        )
        self._parts["labels"][-1].pop("name")

    def group(self, name: str, at: Point, comments: str) -> Group:
        """Add a group inside this one; it uses the same parameters."""
        inner = Group(name, f"{self.path}/{name}", self.identifier, comments, at, self._context)
        self._groups.append(inner)
        return inner

    def connect(
        self,
        source: Node,
        target: Node,
        *relationships: str,
        name: str = "",
        bends: tuple[Point, ...] = (),
        **more: Any,
    ) -> None:
        """Add a connection.

        Args:
            source: where FlowFiles come from.
            target: where they go.
            relationships: of a source that is a processor.
            name: shown on the canvas; the relationships unless given.
            bends: corners of the line.
            more: further fields of NiFi's, such as `flowFileExpiration`.
        """
        node = self._node("CONNECTION", f"{source.name}-{target.name}-{'-'.join(relationships) or name}")
        self._add(
            "connections",
            node,
            None,
            source=_end(source),
            destination=_end(target),
            selectedRelationships=list(relationships),
            bends=[{"x": x, "y": y} for x, y in bends],
            **{**_CONNECTION, **_QUEUE, **more},
        )
        self._parts["connections"][-1]["name"] = name

    def contents(self) -> dict[str, Any]:
        """The group as NiFi reads it."""
        return {
            "identifier": self.identifier,
            "componentType": "PROCESS_GROUP",
            "name": self.name,
            "comments": self.comments,
            "position": {"x": self.position[0], "y": self.position[1]},
            "parameterContextName": self._context,
            "processGroups": [group.contents() for group in self._groups],
            "remoteProcessGroups": [],
            **({"groupIdentifier": self.parent} if self.parent else {}),
            **{part: self._parts.get(part, []) for part in _PARTS},
            **_GROUP,
        }

    def _node(self, kind: str, name: str, at: Point = (0.0, 0.0)) -> Node:
        return Node(_identifier(f"{self.path}/{kind}/{name}"), kind, name, self.identifier, at)

    def _add(self, part: str, node: Node, at: Point | None, **fields: object) -> None:
        position = {"position": {"x": at[0], "y": at[1]}} if at else {}
        self._parts.setdefault(part, []).append(
            {
                "identifier": node.identifier,
                "groupIdentifier": node.group,
                "componentType": node.kind,
                "name": node.name,
                **position,
                **fields,
            }
        )


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a template; a secret has no value in it."""

    name: str
    value: str | None
    description: str
    secret: bool = False


def definition(flow: Group, parameters: list[Parameter], description: str) -> dict[str, Any]:
    """The whole file: the group, and the parameter context that it uses."""
    context = {
        "name": flow.name,
        "componentType": "PARAMETER_CONTEXT",
        "description": description,
        "inheritedParameterContexts": [],
        "synchronized": False,
        "parameters": [
            {
                "name": parameter.name,
                "description": parameter.description,
                "sensitive": parameter.secret,
                "provided": False,
                **({} if parameter.value is None else {"value": parameter.value}),
            }
            for parameter in parameters
        ],
    }
    return {
        "flowContents": flow.contents(),
        "externalControllerServices": {},
        "parameterContexts": {flow.name: context},
        "parameterProviders": {},
        "flowEncodingVersion": "1.0",
        "latest": False,
    }


def _identifier(path: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, path))


def _end(node: Node) -> dict[str, str]:
    return {"id": node.identifier, "type": node.kind, "groupId": node.group, "name": node.name}


def _descriptors(properties: dict[str, str]) -> dict[str, dict[str, object]]:
    """NiFi finds the references to controller services by these."""
    return {
        name: {"name": name, "displayName": name, "identifiesControllerService": True, "sensitive": False}
        for name in properties
        if name in SERVICE_PROPERTIES
    }


_PARTS = ("processors", "inputPorts", "outputPorts", "connections", "labels", "funnels", "controllerServices")
_GROUP = {
    "scheduledState": "ENABLED",
    "executionEngine": "INHERITED",
    "maxConcurrentTasks": 1,
    "statelessFlowTimeout": "1 min",
    "flowFileConcurrency": "UNBOUNDED",
    "flowFileOutboundPolicy": "STREAM_WHEN_AVAILABLE",
    "defaultFlowFileExpiration": "0 sec",
    "defaultBackPressureObjectThreshold": 10000,
    "defaultBackPressureDataSizeThreshold": "1 GB",
}
_PROCESSOR = {
    "style": {},
    "schedulingPeriod": "0 sec",
    "schedulingStrategy": "TIMER_DRIVEN",
    "executionNode": "ALL",
    "penaltyDuration": "1 sec",
    "yieldDuration": "1 sec",
    "bulletinLevel": "WARN",
    "runDurationMillis": 0,
    "concurrentlySchedulableTaskCount": 1,
    "scheduledState": "ENABLED",
    "retryCount": 10,
    "retriedRelationships": [],
    "backoffMechanism": "PENALIZE_FLOWFILE",
    "maxBackoffPeriod": "10 mins",
    "comments": "",
}
_CONNECTION = {
    "labelIndex": 0,
    "zIndex": 0,
    "flowFileExpiration": "0 sec",
    "prioritizers": [],
    "loadBalanceStrategy": "DO_NOT_LOAD_BALANCE",
    "partitioningAttribute": "",
    "loadBalanceCompression": "DO_NOT_COMPRESS",
}
