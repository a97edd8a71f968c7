"""What NiFi calls the types that the templates use, and how large things are on its canvas."""

from __future__ import annotations

_NIFI = "2.3.0"  # the NiFi that they are exported from; another one takes the version that it has


def _bundle(artifact: str, version: str = _NIFI) -> dict[str, str]:
    return {"group": "org.apache.nifi", "artifact": artifact, "version": version}


_STANDARD = _bundle("nifi-standard-nar")
_RECORDS = _bundle("nifi-record-serialization-services-nar")
_PYTHON = _bundle("python-extensions", "0.1.0")
_KAFKA = _bundle("nifi-kafka-nar")

_OURS = ("InvokeModel", "InvokeModelRecord", "EncapsulatePayload", "ExtractPrediction", "ConsumeTopic", "PublishTopic")
_FROM_STANDARD = (
    "GenerateFlowFile",
    "EncodeContent",
    "ListSFTP",
    "FetchSFTP",
    "ListFile",
    "FetchFile",
    "PutFile",
    "ReplaceText",
    "RouteOnAttribute",
    "HandleHttpRequest",
    "HandleHttpResponse",
)

BUNDLES: dict[str, tuple[str, dict[str, str]]] = {
    **{name: (name, _PYTHON) for name in _OURS},
    **{name: (f"org.apache.nifi.processors.standard.{name}", _STANDARD) for name in _FROM_STANDARD},
    "UpdateAttribute": (
        "org.apache.nifi.processors.attributes.UpdateAttribute",
        _bundle("nifi-update-attribute-nar"),
    ),
    "ConsumeKafka": ("org.apache.nifi.kafka.processors.ConsumeKafka", _KAFKA),
    "PublishKafka": ("org.apache.nifi.kafka.processors.PublishKafka", _KAFKA),
    "Kafka3ConnectionService": (
        "org.apache.nifi.kafka.service.Kafka3ConnectionService",
        _bundle("nifi-kafka-3-service-nar"),
    ),
    "StandardHttpContextMap": ("org.apache.nifi.http.StandardHttpContextMap", _bundle("nifi-http-context-map-nar")),
    "JsonTreeReader": ("org.apache.nifi.json.JsonTreeReader", _RECORDS),
    "JsonRecordSetWriter": ("org.apache.nifi.json.JsonRecordSetWriter", _RECORDS),
    "CSVReader": ("org.apache.nifi.csv.CSVReader", _RECORDS),
    "CSVRecordSetWriter": ("org.apache.nifi.csv.CSVRecordSetWriter", _RECORDS),
}

# Properties whose value names a controller service.
SERVICE_PROPERTIES = ("HTTP Context Map", "Record Reader", "Record Writer", "Kafka Connection Service")

SIZE = {"PROCESSOR": (350.0, 130.0), "FUNNEL": (48.0, 48.0), "PROCESS_GROUP": (380.0, 176.0), "PORT": (240.0, 50.0)}
