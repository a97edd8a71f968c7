"""InvokeModelRecord on a real NiFi."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .conftest import DOUBLE
from .group import Group, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RunningNiFi
    from tests.serving.conftest import Served

pytestmark = [pytest.mark.nifi, pytest.mark.xdist_group("nifi")]


def _service(group: Group, kind: str) -> str:
    types = group.nifi.get("/flow/controller-service-types")["controllerServiceTypes"]
    chosen = next(each for each in types if each["type"].endswith(f".{kind}"))
    component = {"type": chosen["type"], "bundle": chosen["bundle"], "name": kind}
    path = f"/process-groups/{group.id}/controller-services"
    made = group.nifi.post(path, {"revision": {"version": 0}, "component": component})
    identity = str(made["id"])
    group.nifi.put(f"/controller-services/{identity}/run-status", {"revision": made["revision"], "state": "ENABLED"})
    until(lambda: group.nifi.get(f"/controller-services/{identity}")["component"]["state"] == "ENABLED", "enabled")
    return identity


def test_records_get_their_predictions(nifi: RunningNiFi, serve_source: Callable[..., Served]) -> None:
    records = [{"id": f"r{number}", "x": number, "y": 0.5} for number in range(30)]
    records[7] = {"id": "r7", "x": None, "y": 0.5}
    with Group(nifi.address, "test records") as group:
        text = {"generate-ff-custom-text": json.dumps(records), "Batch Size": "1"}
        source = group.add("GenerateFlowFile", text)
        properties = {
            "Record Reader": _service(group, "JsonTreeReader"),
            "Record Writer": _service(group, "JsonRecordSetWriter"),
            "Model name": "double",
            "Service address": serve_source(DOUBLE, "double").grpc,
            "Feature fields": "x, y",
        }
        model = group.add("InvokeModelRecord", properties, drop=["original", "retry"])
        group.connect(source, ["success"], model)
        done, failed = group.connect(model, ["success"]), group.connect(model, ["failure"])
        group.run(model)
        group.run(source, state="RUN_ONCE")
        (answer,), (refused,) = group.arrived(done), group.arrived(failed)
        for identity in (properties["Record Reader"], properties["Record Writer"]):
            group.stop(model)
            entity = group.nifi.get(f"/controller-services/{identity}")
            body = {"revision": entity["revision"], "state": "DISABLED"}
            group.nifi.put(f"/controller-services/{identity}/run-status", body)
    expected = [{**each, "prediction": {"a": 2.0 * n, "b": 1.0}} for n, each in enumerate(records) if n != 7]
    assert json.loads(answer.content) == expected
    assert answer.attributes["record.count"] == "29"
    assert json.loads(refused.content)[0]["id"] == "r7"
    assert refused.attributes["invokemodel.error.code"] == "NO_FIELD"
