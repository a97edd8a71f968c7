"""The companions on a real NiFi."""

from __future__ import annotations

import json
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.processors.group import FlowFile, Group, until

from .test_topics import Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.conftest import RunningNiFi

    from penstock.deploy.kafka import Broker

pytestmark = [pytest.mark.nifi, pytest.mark.xdist_group("nifi")]

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


class Companion:
    """Files to a companion, each of whose relationships ends in a queue."""

    def __init__(self, group: Group, processor: str, folder: Path, attributes: Mapping[str, str]) -> None:
        self.group, self.folder = group, folder
        files = group.add("GetFile", {"Input Directory": str(folder), "Keep Source File": "false"})
        marks = group.add("UpdateAttribute", attributes)
        self.companion = group.add(processor, drop=["original"])
        group.connect(files, ["success"], marks)
        group.connect(marks, ["success"], self.companion)
        self.queues = {name: group.connect(self.companion, [name]) for name in ("success", "failure")}
        group.run(files, marks)

    def of(self, content: bytes, into: str = "success", **properties: str) -> FlowFile:
        """What becomes of a file; property names with _ for a space."""
        self.group.configure(self.companion, {name.replace("_", " "): value for name, value in properties.items()})
        self.group.run(self.companion)
        (self.folder / ".hidden").write_bytes(content)
        (self.folder / ".hidden").rename(self.folder / "file")
        try:
            [flowfile] = self.group.arrived(self.queues[into], 1, 60)
            return flowfile
        finally:
            self.group.stop(self.companion)
            self.group.empty(self.queues[into])


def test_encapsulate_payload(nifi: RunningNiFi, tmp_path: Path) -> None:
    with Group(nifi.address, "test encapsulate") as group:
        companion = Companion(group, "EncapsulatePayload", tmp_path, {"puid": "p-1"})

        image = companion.of(PNG)
        rows = companion.of(b"a,b\n1,2\n3,4.5\n", Content="numbers", Header_line="yes")
        whole = companion.of(b"1;2\n", Header_line="no", Feature_names="${puid},b", Envelope="Seldon message")
        wrong = companion.of(b"1,x\n", into="failure")

    assert image.content.startswith(b'[["iVBORw0KGgo')
    assert image.attributes["mime.type"] == "application/json"
    assert (rows.content, rows.attributes["featureNames"]) == (b"[[1.0,2.0],[3.0,4.5]]", "a,b")
    assert whole.content == b'{"data":{"names":["p-1","b"],"ndarray":[[1,2]]},"meta":{"puid":"p-1"}}'
    assert wrong.content == b"1,x\n"
    assert wrong.attributes["encapsulatepayload.error.code"] == "NOT_NUMBERS"
    assert wrong.attributes["encapsulatepayload.error.message"] == "line 1: 'x' is no number"


def test_extract_prediction(nifi: RunningNiFi, tmp_path: Path) -> None:
    with Group(nifi.address, "test extract") as group:
        companion = Companion(group, "ExtractPrediction", tmp_path, {"invokemodel.names": "cat,dog"})

        values = companion.of(b"[[0.25,0.75]]")
        label = companion.of(b"[[0.25,0.75]]", Part="top label", Written_as="attributes")
        lines = companion.of(b"[[0.25,0.75],[0.5,0.5]]", Written_as="CSV", Labels="Katze,Hund")
        wrong = companion.of(b"no answer", into="failure")

    assert json.loads(values.content) == [{"cat": 0.25, "dog": 0.75}]
    assert label.content == b"[[0.25,0.75]]"
    assert (label.attributes["prediction.label"], label.attributes["prediction.probability"]) == ("dog", "0.75")
    assert lines.content == b"label,probability,index\nHund,0.75,1\nKatze,0.5,0\n"
    assert lines.attributes["mime.type"] == "text/csv"
    assert wrong.content == b"no answer"
    assert wrong.attributes["extractprediction.error.code"] == "INVALID_JSON"


COUNT = 1000


@pytest.mark.kafka
@pytest.mark.timeout(900)  # more than all that it waits for
def test_topic_to_topic_with_workers_killed_and_the_source_stopped(
    nifi: RunningNiFi, kafka_broker: Broker, record_property: Callable[[str, object], None]
) -> None:
    with (
        closing(Topic(kafka_broker.address)) as source,
        closing(Topic(kafka_broker.address)) as sink,
        Group(nifi.address, "test topics") as group,
    ):
        source.fill(COUNT)
        kafka = {"Bootstrap servers": kafka_broker.address}
        consume = group.add("ConsumeTopic", {**kafka, "Topic": source.name, "Group id": source.reading.group})
        settings = {**kafka, "Topic": sink.name, "Key": "${kafka.offset}", "Headers": "kafka.partition"}
        publish = group.add("PublishTopic", settings, drop=["original", "success"], tasks=2)
        group.connect(consume, ["success"], publish)
        # To failure, NiFi itself sends what comes while the Python process is dead.
        group.connect(publish, ["retry", "failure"], publish)

        group.run(consume, publish)
        until(lambda: sink.size() > COUNT // 10, lambda: f"some are through: {group.told()}", 180)
        group.stop(consume)
        group.run(consume)
        until(lambda: sink.size() > COUNT // 4, lambda: f"more are through: {group.told()}", 180)
        for worker in workers(kafka_broker.address):
            worker.kill()
        through = lambda: {record.value for record in sink.records()} == everything()  # noqa: E731
        until(through, lambda: f"all are through: {group.told()}", 240)
        records = sink.records()
    assert all(record.key == record.value for record in records)  # offsets are counted as the values are
    assert all(record.headers == [("kafka.partition", b"0")] for record in records)
    record_property("reported", f"{len(records) - COUNT} of {COUNT} records twice")


def everything() -> set[bytes]:
    return {b"%d" % number for number in range(COUNT)}


def workers(address: str) -> set[psutil.Process]:
    """NiFi's Python processes that are connected to a broker."""
    port = int(address.rpartition(":")[2])
    found = set()
    for each in psutil.net_connections("tcp"):
        with suppress(psutil.NoSuchProcess):
            if each.raddr and each.raddr.port == port and each.pid:
                process = psutil.Process(each.pid)
                if "Controller.py" in " ".join(process.cmdline()):
                    found.add(process)
    assert found
    return found


@pytest.mark.kafka
def test_records_as_lines_and_more_than_one_task(nifi: RunningNiFi, kafka_broker: Broker) -> None:
    with closing(Topic(kafka_broker.address)) as source, Group(nifi.address, "test lines") as group:
        source.fill(100)
        properties = {"Bootstrap servers": kafka_broker.address, "Topic": source.name, "Group id": source.reading.group}
        consume = group.add("ConsumeTopic", {**properties, "Records per FlowFile": "100"})
        read = group.connect(consume, ["success"])
        group.run(consume)
        [flowfile] = group.arrived(read, 1, 60)
        group.stop(consume)
        assert source.committed() == 100
        assert flowfile.content == b"\n".join(b"%d" % number for number in range(100))
        assert (flowfile.attributes["kafka.offset"], flowfile.attributes["kafka.max.offset"]) == ("0", "99")

        group.configure(consume, {}, concurrentlySchedulableTaskCount=2)
        group.run(consume)
        until(lambda: "one concurrent task" in bulletins(group), "it says why it does not run", 60)


def bulletins(group: Group) -> str:
    board = group.nifi.get("/flow/bulletin-board", groupId=group.id, limit=20)["bulletinBoard"]["bulletins"]
    return " ".join(each["bulletin"]["message"] for each in board)
