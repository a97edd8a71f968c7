"""*Kafka to Kafka* in two forms: with Penstock's ConsumeTopic and PublishTopic, and with NiFi's own processors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .definition import Group, Parameter, definition
from .parts import ROW, invoke, judge, loop, note, service_parameters, title

if TYPE_CHECKING:
    from .definition import Node, Point

_SET = "the brokers, the topics, what a record holds, the model"
_UNDER = (0.0, 2 * ROW)
_BESIDE = (660.0, 2 * ROW)

_PARAMETERS = [
    *service_parameters("iris"),
    Parameter("kafka-servers", "127.0.0.1:19092", "The Kafka brokers to begin with: host:port, several with commas."),
    Parameter("group-id", "penstock-nifi", "The consumer group; Kafka remembers for it what has been read."),
    Parameter("input-topic", "observations", "The topic whose records are asked of the model."),
    Parameter(
        "input-format", "ndarray", "What a record holds: ndarray, tensor, tftensor, jsonData, strData or binData."
    ),
    Parameter("output-topic", "predictions", "The topic that the answers go to, with the key of the record."),
    Parameter("failed-topic", "observations-failed", "The topic that records go to which the model refuses."),
]
_DESCRIPTION = "Which records become predictions, by which model, and where they go."


def companions() -> dict[str, Any]:
    """The form that needs nothing but Penstock's own NAR."""
    group = Group("Kafka to Kafka", "kafka-to-kafka")
    servers = {"Bootstrap servers": "#{kafka-servers}"}
    consume = group.processor(
        "ConsumeTopic",
        (0, 0),
        {**servers, "Topic": "#{input-topic}", "Group id": "#{group-id}", "Starting offset": "earliest"},
    )

    def publish(name: str, topic: str, headers: str, at: Point) -> Node:
        properties = {**servers, "Topic": topic, "Key": "${kafka.key}", "Headers": headers}
        return group.processor(
            "PublishTopic", at, properties, name=name, ended=("success", "original"), again=("failure",)
        )

    model = _invoke(group, consume)
    answers = publish("Publish predictions", "#{output-topic}", "invokemodel.puid,invokemodel.model", _UNDER)
    refused = publish(
        "Publish what failed", "#{failed-topic}", "invokemodel.error.code,invokemodel.error.message", _BESIDE
    )
    loop(group, answers)
    loop(group, refused, side="right")
    _join(group, model, answers, refused, "Then start everything.")
    note(
        group,
        "failures",
        "What the model refuses goes unchanged to a topic of its own, the reason in its headers. Where Kafka cannot "
        "be reached it is tried again; what Kafka refuses waits in the queues below.",
        (1100, ROW),
        (380, 110),
    )
    return definition(group, _PARAMETERS, _DESCRIPTION)


def of_nifi() -> dict[str, Any]:
    """The form for a NiFi that has the Kafka NARs, as a downloaded NiFi has."""
    group = Group("Kafka to Kafka with NiFi's processors", "kafka-to-kafka-nifi")
    kafka = group.service("Kafka3ConnectionService", {"bootstrap.servers": "#{kafka-servers}"}, name="Kafka")
    consume = group.processor(
        "ConsumeKafka",
        (0, 0),
        {
            "Kafka Connection Service": kafka,
            "Group ID": "#{group-id}",
            "Topic Format": "names",
            "Topics": "#{input-topic}",
            "auto.offset.reset": "earliest",
            "Commit Offsets": "true",
            "Processing Strategy": "FLOW_FILE",
            "Key Attribute Encoding": "utf-8",
        },
    )

    def publish(name: str, topic: str, at: Point) -> Node:
        properties = {
            "Kafka Connection Service": kafka,
            "Topic Name": topic,
            "acks": "all",
            "Transactions Enabled": "false",
            "Failure Strategy": "Route to Failure",
            "Kafka Key": "${kafka.key}",
        }
        return group.processor("PublishKafka", at, properties, name=name, ended=("success",), again=("failure",))

    model = _invoke(group, consume)
    answers = publish("Publish predictions", "#{output-topic}", _UNDER)
    refused = publish("Publish what failed", "#{failed-topic}", _BESIDE)
    enable = "Enable the service Kafka (right-click the canvas, Controller Services), then start everything."
    _join(group, model, answers, refused, enable)
    note(
        group,
        "failures",
        "What the model refuses goes unchanged to a topic of its own. What cannot be published is tried again, ten "
        "times; then it waits in the queues below.",
        (1100, ROW),
        (380, 100),
    )
    return definition(group, _PARAMETERS, _DESCRIPTION)


def _invoke(group: Group, consume: Node) -> Node:
    model = invoke(group, (0, ROW), {"Input format": "#{input-format}"})
    group.connect(consume, model, "success", name="record")
    loop(group, model)
    return model


def _join(group: Group, model: Node, answers: Node, refused: Node, start: str) -> None:
    group.connect(model, answers, "success", name="prediction")
    group.connect(judge(group, model), refused, "unmatched", name="failures")
    for publish in (answers, refused):
        lost = group.funnel(f"not published of {publish.name}", (publish.at[0] + 151, 3 * ROW + 41))
        group.connect(publish, lost, "failure", name="not published")
    title(
        group,
        "Kafka to Kafka\n\nEach record of a topic is given to the model. The answer goes to another topic, under the "
        "key of the record.",
        (-860, 0),
        (460, 130),
    )
    note(group, "start", f"Set the parameters: {_SET}. {start}", (-860, 160), (460, 80))
    note(
        group,
        "retry",
        "A service that is away, busy or too slow is asked again, until it answers. The queue above fills meanwhile, "
        "and then no more records are read.",
        (-860, ROW + 10),
        (460, 90),
    )
