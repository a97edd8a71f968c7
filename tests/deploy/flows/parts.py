"""Small flow definitions, built from parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

from penstock.deploy.flows import Definition, clean

if TYPE_CHECKING:
    from collections.abc import Sequence

_STANDARD = {"group": "org.apache.nifi", "artifact": "nifi-standard-nar", "version": "2.3.0"}
_UPDATE = {"group": "org.apache.nifi", "artifact": "nifi-update-attribute-nar", "version": "2.3.0"}
_RECORDS = {"group": "org.apache.nifi", "artifact": "nifi-record-serialization-services-nar", "version": "2.3.0"}
_TYPES = {
    "GenerateFlowFile": ("org.apache.nifi.processors.standard.GenerateFlowFile", _STANDARD),
    "UpdateAttribute": ("org.apache.nifi.processors.attributes.UpdateAttribute", _UPDATE),
    "LogAttribute": ("org.apache.nifi.processors.standard.LogAttribute", _STANDARD),
    "ConvertRecord": ("org.apache.nifi.processors.standard.ConvertRecord", _STANDARD),
    "InvokeHTTP": ("org.apache.nifi.processors.standard.InvokeHTTP", _STANDARD),
}


def identifier(name: str) -> str:
    """An identifier that is always the same for the same name."""
    return str(uuid5(NAMESPACE_OID, name))


def processor(
    name: str, kind: str, properties: dict[str, str] | None = None, *, ends: Sequence[str] = (), **more: Any
) -> dict[str, Any]:
    """A processor; ``ends`` are the relationships that end there."""
    type_, bundle = _TYPES.get(kind, (kind, _STANDARD))
    return {
        "identifier": identifier(name),
        "name": name,
        "comments": "",
        "type": type_,
        "bundle": bundle,
        "properties": properties or {},
        "propertyDescriptors": {},
        "position": {"x": 0.0, "y": 0.0},
        "style": {},
        "schedulingPeriod": "0 sec",
        "schedulingStrategy": "TIMER_DRIVEN",
        "executionNode": "ALL",
        "penaltyDuration": "30 sec",
        "yieldDuration": "1 sec",
        "bulletinLevel": "WARN",
        "runDurationMillis": 0,
        "concurrentlySchedulableTaskCount": 1,
        "autoTerminatedRelationships": list(ends),
        "scheduledState": "ENABLED",
        "retryCount": 10,
        "retriedRelationships": [],
        "backoffMechanism": "PENALIZE_FLOWFILE",
        "maxBackoffPeriod": "10 mins",
        "componentType": "PROCESSOR",
        "groupIdentifier": "top",
        **more,
    }


def connection(source: str, destination: str, *relationships: str) -> dict[str, Any]:
    """A connection between two processors by their names."""
    ends = {
        side: {"id": identifier(name), "type": "PROCESSOR", "groupId": "top"}
        for side, name in (("source", source), ("destination", destination))
    }
    return {
        "identifier": identifier(f"{source} to {destination}"),
        "labelIndex": 0,
        "zIndex": 0,
        "selectedRelationships": list(relationships or ("success",)),
        "backPressureObjectThreshold": 10000,
        "backPressureDataSizeThreshold": "1 GB",
        "flowFileExpiration": "0 sec",
        "prioritizers": [],
        "bends": [],
        "loadBalanceStrategy": "DO_NOT_LOAD_BALANCE",
        "loadBalanceCompression": "DO_NOT_COMPRESS",
        "componentType": "CONNECTION",
        "groupIdentifier": "top",
        **ends,
    }


def service(name: str, type_: str, **properties: str) -> dict[str, Any]:
    """A controller service for records."""
    return {
        "identifier": identifier(name),
        "name": name,
        "comments": "",
        "type": f"org.apache.nifi.json.{type_}",
        "bundle": _RECORDS,
        "properties": properties,
        "propertyDescriptors": {},
        "controllerServiceApis": [],
        "scheduledState": "DISABLED",
        "bulletinLevel": "WARN",
        "componentType": "CONTROLLER_SERVICE",
        "groupIdentifier": "top",
    }


def flow(name: str, *parts: dict[str, Any], parameters: Sequence[dict[str, Any]] = ()) -> Definition:
    """A clean definition of one group with these parts in it."""
    kinds = {"PROCESSOR": "processors", "CONNECTION": "connections", "CONTROLLER_SERVICE": "controllerServices"}
    contents: dict[str, Any] = {
        "identifier": "top",
        "name": name,
        "comments": "",
        "componentType": "PROCESS_GROUP",
        "parameterContextName": name,
        "processGroups": [],
        "remoteProcessGroups": [],
        "inputPorts": [],
        "outputPorts": [],
        "labels": [],
        "funnels": [],
        **{key: [part for part in parts if part["componentType"] == kind] for kind, key in kinds.items()},
    }
    context = {
        "name": name,
        "parameters": [{"provided": False, "sensitive": False, **each} for each in parameters],
        "inheritedParameterContexts": [],
        "componentType": "PARAMETER_CONTEXT",
    }
    return clean({"flowContents": contents, "parameterContexts": {name: context}})


def chain(
    greeting: str = "hello", *, mark: str = "1", period: str = "100 ms", more: Sequence[dict[str, Any]] = ()
) -> Definition:
    """``make`` greets, ``mark`` marks, ``tell`` logs."""
    return flow(
        "chain",
        processor(
            "make",
            "GenerateFlowFile",
            {"generate-ff-custom-text": "#{greeting}", "Batch Size": "1"},
            schedulingPeriod=period,
        ),
        processor("mark", "UpdateAttribute", {"mark": mark}),
        processor("tell", "LogAttribute", {"Log Level": "debug"}, ends=("success",)),
        connection("make", "mark"),
        connection("mark", "tell"),
        *more,
        parameters=[{"name": "greeting", "value": greeting}, {"name": "password", "sensitive": True}],
    )


def records() -> Definition:
    """A processor that needs two controller services."""
    uses = {"identifiesControllerService": True, "sensitive": False, "dynamic": False}
    return flow(
        "records",
        processor(
            "make",
            "GenerateFlowFile",
            {"generate-ff-custom-text": '[{"a": 1}]', "Batch Size": "1"},
            schedulingPeriod="100 ms",
        ),
        processor(
            "convert",
            "ConvertRecord",
            {"Record Reader": identifier("reader"), "Record Writer": identifier("writer")},
            ends=("failure", "success"),
            propertyDescriptors={
                name: {"name": name, "displayName": name, **uses} for name in ("Record Reader", "Record Writer")
            },
        ),
        connection("make", "convert"),
        service("reader", "JsonTreeReader"),
        service("writer", "JsonRecordSetWriter"),
    )
