"""A flow definition on a real canvas for a moment, to export it or to take its picture."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from penstock.deploy.flows import clean, to_text
from penstock.deploy.flows._definition import placed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.deploy.canvas import Connection

_PATIENCE = 180.0  # a Python processor makes its environment in that time


@contextmanager
def imported(nifi: Connection, flow: dict[str, Any]) -> Iterator[str]:
    """The id of a process group with this flow in it, under a name and with parameters of its own; removed after."""
    name = f"{flow['flowContents']['name']} {uuid4().hex[:6]}"
    body = {
        "groupName": name,
        "positionDTO": {"x": 0, "y": 0},
        "revisionDTO": {"version": 0},
        "flowSnapshot": placed(clean(flow), name),
    }
    group = str(nifi.post("/process-groups/root/process-groups/import", body)["id"])
    try:
        _wait(nifi, group)
        yield group
    finally:
        _remove(nifi, group, name)


def exported(nifi: Connection, flow: dict[str, Any]) -> str:
    """The flow as NiFi exports it, clean."""
    with imported(nifi, flow) as group:
        return to_text(clean(nifi.get(f"/process-groups/{group}/download"), flow["flowContents"]["name"]))


def _wait(nifi: Connection, group: str) -> None:
    end = time.monotonic() + _PATIENCE
    while any(_starting(each["component"]) for each in _processors(nifi, group)):
        if time.monotonic() > end:
            raise TimeoutError("the processors are not ready")
        time.sleep(0.3)


def _processors(nifi: Connection, group: str) -> list[dict[str, Any]]:
    found = nifi.get(f"/process-groups/{group}/processors", includeDescendantGroups="true")
    return list(found["processors"])


def _starting(component: dict[str, Any]) -> bool:
    """Until NiFi has looked at it, and a Python processor's own process has told its properties."""
    errors = component.get("validationErrors") or []
    untold = component["bundle"]["artifact"] == "python-extensions" and not component["extensionMissing"]
    told = set(component["config"]["descriptors"]) - {"Record Reader", "Record Writer"}
    preparing = any(re.search("initializ|loading", each, re.IGNORECASE) for each in errors)
    return component["validationStatus"] == "VALIDATING" or preparing or (untold and not told)


def _remove(nifi: Connection, group: str, name: str) -> None:
    revision = nifi.get(f"/process-groups/{group}")["revision"]["version"]
    nifi.delete(f"/process-groups/{group}", version=revision)
    for context in nifi.get("/flow/parameter-contexts")["parameterContexts"]:
        if context["component"]["name"] == name:
            nifi.delete(f"/parameter-contexts/{context['id']}", version=context["revision"]["version"])
