"""Each template on a real NiFi: it is valid, does its work on real data, and comes back as it was."""

from __future__ import annotations

import base64
import json
import os
import time
import warnings
from contextlib import closing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python reads its schemas in an old way
    from kafka import KafkaConsumer, KafkaProducer  # type: ignore[import-untyped]  # it has no types

from penstock.cli.demo import sftp
from penstock.cli.demo.provenance import Provenance
from penstock.deploy.canvas import connect
from penstock.deploy.flows import Flows, load, to_text
from penstock.deploy.ports import free_port
from penstock.proto import SetupError

from .conftest import TEMPLATES, program, served, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import RunningNiFi

    from penstock.deploy.kafka import Broker

    from .conftest import Deployed, ImageModel

    Deploy = Callable[..., Deployed]

pytestmark = [pytest.mark.nifi, pytest.mark.xdist_group("nifi")]


def with_values(template: str, parameters: dict[str, str]) -> str:
    """The template's file, with these values in it."""
    definition = load(TEMPLATES / template / "flow.json")
    (context,) = definition["parameterContexts"].values()
    for parameter in context["parameters"]:
        if parameter["name"] in parameters:
            parameter["value"] = parameters[parameter["name"]]
    return to_text(definition)


def is_unchanged(deployed: Deployed, template: str, parameters: dict[str, str]) -> bool:
    return to_text(deployed.flows.export(deployed.name)) == with_values(template, parameters)


@pytest.mark.parametrize("template", sorted(path.parent.name for path in TEMPLATES.glob("*/flow.json")))
def test_the_file_is_clean(template: str) -> None:
    path = TEMPLATES / template / "flow.json"
    assert to_text(load(path)) == path.read_text()


def test_images_from_both_sources_are_recognised(deploy: Deploy, image_model: ImageModel, tmp_path: Path) -> None:
    """GenerateFlowFile sends one that the template has not in it, a real SSH server has others and what is none."""
    first, *others = image_model.pictures[:6]
    (tmp_path / "deeper").mkdir()
    for number, picture in enumerate(others):
        folder = tmp_path / "deeper" if number == 0 else tmp_path
        (folder / picture.name).write_bytes(picture.png)
    (tmp_path / "broken.png").write_bytes(others[0].png[:100])
    (tmp_path / "notes.txt").write_text("no image")
    before = time.time() - 3600
    for path in tmp_path.rglob("*.png"):
        os.utime(path, (before, before))  # ListSFTP holds back what has changed just now: it may still be written
    port = str(free_port())
    start_sftp = program("penstock.cli.demo.sftp", str(tmp_path), port, ready="ready", **{sftp.PASSWORD: "open sesame"})
    with served(image_model.folder) as (_, address), start_sftp:
        parameters = {
            "service-address": address,
            "image-base64": base64.b64encode(first.png).decode(),
            "sftp-port": port,
            "sftp-user": sftp.USER,
        }
        deployed = deploy("image-recognition", parameters, {"sftp-password": "open sesame"})
        provenance = Provenance(deployed.nifi, deployed.processor("InvokeModel"))
        wanted = {picture.name: picture.label for picture in others}
        until(lambda: wanted.keys() < {each.file for each in provenance.predictions(100)})
        known = {each.file: each.answer for each in provenance.predictions(100)}
        assert {name: known.pop(name)[0][0] for name in wanted} == {
            name: f"digit-{label}" for name, label in wanted.items()
        }
        # What is left is the FlowFile of GenerateFlowFile, whose name is an id of its own.
        ((one, *more),) = known.values()
        assert one[0] == f"digit-{first.label}"
        assert len(more) == 2
        (failed,) = until(lambda: deployed.queued("failures"))
        assert failed["attributes"]["filename"] == "broken.png"
        assert "broken or cut off" in failed["attributes"]["invokemodel.error.message"]
        waiting = {each["attributes"]["filename"] for each in deployed.queued("predictions")}
        assert wanted.keys() < waiting
    assert is_unchanged(deployed, "image-recognition", parameters)


def test_files_become_files_of_predictions(deploy: Deploy, sums: str, tmp_path: Path) -> None:
    there, here = tmp_path / "in", tmp_path / "out"
    there.mkdir()
    parameters = {
        "service-address": sums,
        "model-name": "sums",
        "input-folder": str(there),
        "output-folder": str(here),
    }
    deployed = deploy("files-to-predictions", parameters)
    (there / "rows.json").write_text("[[1, 2], [3, 4]]")
    (there / "broken.json").write_text("[[1, 2], [3")
    (there / "ignored.txt").write_text("[[1]]")
    answer = here / "rows.prediction.json"
    until(lambda: answer.exists() and answer.read_text())
    assert json.loads(answer.read_text()) == [[3], [7]]
    (failed,) = until(lambda: deployed.queued("failures"))
    assert failed["attributes"]["filename"] == "broken.json"
    assert failed["attributes"]["invokemodel.error.code"]
    assert failed["size"] == 11
    assert [path.name for path in here.iterdir()] == ["rows.prediction.json"]
    assert (there / "rows.json").exists()
    assert is_unchanged(deployed, "files-to-predictions", parameters)


CSV = """name,a,b
first,1,2
second,3,4.5
"""


def test_records_get_a_field_with_their_prediction(deploy: Deploy, sums_folder: Path, tmp_path: Path) -> None:
    """CSV and JSON; records that had to wait for the service come as a file of their own."""
    there, here = tmp_path / "in", tmp_path / "out"
    there.mkdir()
    here.mkdir()
    port = str(free_port())
    with served(sums_folder, port) as (process, address):
        parameters = {
            "service-address": address,
            "model-name": "sums",
            "input-folder": str(there),
            "output-folder": str(here),
            "feature-fields": "a,b",
            "prediction-field": "sum",
        }
        deployed = deploy("records-to-predictions", parameters)
        (there / "rows.csv").write_text(CSV)
        (there / "rows.json").write_text('[{"a": 1, "b": 2, "of": "json"}]')
        (there / "bad.json").write_text('[{"a": 666, "b": 0, "of": "json"}]')
        assert read(here, "rows.csv").splitlines() == ["name,a,b,sum", "first,1,2.0,3.0", "second,3,4.5,7.5"]
        assert json.loads(read(here, "rows.json")) == [{"a": 1, "b": 2, "of": "json", "sum": 3}]
        (failed,) = until(lambda: deployed.queued("failures"))
        assert failed["attributes"]["filename"] == "bad.json"
        assert failed["attributes"]["invokemodel.error.code"]
        process.kill()
        process.wait()
    (there / "late.csv").write_text(CSV)
    until(lambda: deployed.bulletins("Predict CSV records"))
    with served(sums_folder, port):
        assert read(here, "late.*.csv").splitlines()[1] == "first,1,2.0,3.0"
    assert is_unchanged(deployed, "records-to-predictions", parameters)


def read(folder: Path, name: str) -> str:
    """What is in the file of this name, when it is there."""
    return str(until(lambda: next((text for path in folder.glob(name) if (text := path.read_text())), "")))


def test_http_is_answered_with_the_prediction_or_the_reason(deploy: Deploy, sums_folder: Path) -> None:
    port = str(free_port())
    with served(sums_folder) as (process, address):
        parameters = {"service-address": address, "model-name": "sums", "listen-port": port}
        deployed = deploy("http-to-prediction", parameters)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            answer = client.post("/predict", content="[[1, 2], [3, 4]]")
            assert (answer.status_code, answer.json()) == (200, [[3], [7]])
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["puid"]
            refused(client.post("/predict", content="[[1, 2], [3"), 400)
            refused(client.post("/predict", content="[[666]]"), 502)
            assert client.post("/elsewhere", content="[[1]]").status_code == 404
            assert client.get("/predict").status_code == 405
            process.kill()
            process.wait()
            refused(client.post("/predict", content="[[1, 2]]"), 503)
    assert is_unchanged(deployed, "http-to-prediction", parameters)


def refused(answer: httpx.Response, status: int) -> None:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["status"]) == (status, status), body
    assert answer.headers["content-type"] == "application/json"
    assert body["code"]
    assert body["message"]


@pytest.mark.kafka
def test_records_of_a_topic_become_predictions_on_another(deploy: Deploy, sums: str, kafka_broker: Broker) -> None:
    run = uuid4().hex[:6]
    source, sink, failed = (f"template-{run}-{name}" for name in ("in", "out", "failed"))
    parameters = {
        "service-address": sums,
        "model-name": "sums",
        "kafka-servers": kafka_broker.address,
        "group-id": f"template-{run}",
        "input-topic": source,
        "output-topic": sink,
        "failed-topic": failed,
    }
    with closing(KafkaProducer(bootstrap_servers=kafka_broker.address, acks="all")) as producer:
        for number in range(20):
            producer.send(source, b"[[%d, 1]]" % number, key=b"row-%d" % number)
        producer.send(source, b"[[1, 2", key=b"broken")
        producer.flush()
    deployed = deploy("kafka-to-kafka", parameters)
    expected = {b"row-%d" % number: [[number + 1]] for number in range(20)}
    answers = read_topic(kafka_broker.address, sink, len(expected))
    assert {record.key: json.loads(record.value) for record in answers} == expected
    assert all(dict(record.headers)["invokemodel.puid"] for record in answers)
    (refused,) = read_topic(kafka_broker.address, failed, 1)
    assert (refused.key, refused.value) == (b"broken", b"[[1, 2")
    assert dict(refused.headers)["invokemodel.error.code"]
    assert is_unchanged(deployed, "kafka-to-kafka", parameters)


def read_topic(address: str, topic: str, count: int) -> list[Any]:
    """At least so many records of a topic."""
    records = list[Any]()

    def arrived() -> bool:
        for batch in consumer.poll(500).values():
            records.extend(batch)
        return len(records) >= count

    with closing(KafkaConsumer(topic, bootstrap_servers=address, auto_offset_reset="earliest")) as consumer:
        until(arrived)
    return records


def test_a_nifi_without_the_kafka_nars_keeps_the_flow_and_says_what_it_lacks(nifi: RunningNiFi) -> None:
    """What can be proven of this form here: NiFi's Kafka NARs cannot be had from Maven Central."""
    template, connection = "kafka-to-kafka-nifi", connect(nifi.address)
    flow = load(TEMPLATES / template / "flow.json")
    name = f"{template} {uuid4().hex[:6]}"
    with pytest.raises(SetupError, match="does not have ConsumeKafka, PublishKafka"):
        Flows(connection).create(name, TEMPLATES / template)
    (context,) = flow["parameterContexts"].values()
    flow["flowContents"] |= {"parameterContextName": name, "position": {"x": 0, "y": 0}}
    flow["parameterContexts"] = {name: context | {"name": name}}
    body = {"groupName": name, "positionDTO": {"x": 0, "y": 0}, "revisionDTO": {"version": 0}, "flowSnapshot": flow}
    group = connection.post("/process-groups/root/process-groups/import", body)["id"]
    try:
        kept = connection.get(f"/process-groups/{group}/processors")["processors"]
        missing = {each["component"]["name"] for each in kept if each["component"]["extensionMissing"]}
        assert missing == {"ConsumeKafka", "Publish predictions", "Publish what failed"}
        wanted = {each["name"]: set(each["properties"]) for each in flow["flowContents"]["processors"]}
        assert all(wanted[each["component"]["name"]] <= set(each["component"]["config"]["properties"]) for each in kept)
        services = connection.get(f"/flow/process-groups/{group}/controller-services")["controllerServices"]
        assert [(each["component"]["name"], each["component"]["extensionMissing"]) for each in services] == [
            ("Kafka", True)
        ]
        connections = connection.get(f"/process-groups/{group}/connections")["connections"]
        assert len(connections) == len(flow["flowContents"]["connections"])
    finally:
        version = connection.get(f"/process-groups/{group}")["revision"]["version"]
        connection.delete(f"/process-groups/{group}", version=version)
        for each in connection.get("/flow/parameter-contexts")["parameterContexts"]:
            if each["component"]["name"] == name:
                connection.delete(f"/parameter-contexts/{each['id']}", version=each["revision"]["version"])


@pytest.mark.parametrize("template", sorted(path.parent.name for path in TEMPLATES.glob("*/flow.json")))
def test_the_page_tells_every_parameter(template: str) -> None:
    folder = TEMPLATES / template
    page = (folder / "README.md").read_text()
    (context,) = load(folder / "flow.json")["parameterContexts"].values()
    for parameter in context["parameters"]:
        assert f"| `{parameter['name']}` | " in page
        assert parameter["description"] in page
    assert len((folder / "canvas.png").read_bytes()) <= 150_000
