"""NiFi's side of PublishTopic; what it does is in `penstock.processors.topics_publishing`."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from nifiapi.__jvm__ import JvmHolder
from nifiapi.flowfiletransform import FlowFileTransform
from nifiapi.properties import (
    ExpressionLanguageScope,
    PropertyDependency,
    PropertyDescriptor,
    StandardValidators,
    ValidationResult,
)
from nifiapi.relationship import Relationship

from penstock.processors.java_calls import JavaCalls
from penstock.processors.lineage import SENT
from penstock.processors.outcomes import RETRY
from penstock.processors.properties import constant_values, value_for
from penstock.processors.quick_replies import quicken
from penstock.processors.results import Transformed
from penstock.processors.topics_cluster import cluster_of
from penstock.processors.topics_publishing import Publication, TopicWriter, problem, writing_of

if TYPE_CHECKING:
    from nifiapi.properties import ProcessContext, ValidationContext

QUICK = quicken()


class PublishTopic(FlowFileTransform):
    """Sends the content of each FlowFile to a Kafka topic."""

    class Java:
        """What NiFi calls this class through."""

        implements = ["org.apache.nifi.python.processor.FlowFileTransform"]

    class ProcessorDetails:
        """What NiFi shows of this processor."""

        version = "0.1.0"
        description = (
            "Sends the content of each FlowFile to a Kafka topic and waits until all replicas have it, for a NiFi "
            "without the Kafka NARs."
        )
        tags = ["kafka", "topic", "publish", "penstock"]

    SERVERS = PropertyDescriptor(
        name="Bootstrap servers",
        description="host:port of a Kafka broker; several between commas.",
        required=True,
        default_value="127.0.0.1:9092",
        validators=[StandardValidators.NON_EMPTY_VALIDATOR],
        expression_language_scope=ExpressionLanguageScope.ENVIRONMENT,
    )
    TOPIC = PropertyDescriptor(
        name="Topic",
        description="The topic to write to.",
        required=True,
        validators=[StandardValidators.NON_EMPTY_VALIDATOR],
        expression_language_scope=ExpressionLanguageScope.FLOWFILE_ATTRIBUTES,
    )
    KEY = PropertyDescriptor(
        name="Key",
        description="The key of the record, for example ${kafka.key}; none where it is empty.",
        validators=[StandardValidators.ALWAYS_VALID],
        expression_language_scope=ExpressionLanguageScope.FLOWFILE_ATTRIBUTES,
    )
    KEY_ENCODING = PropertyDescriptor(
        name="Key encoding",
        description="How Key holds the key: as text, or in hexadecimal.",
        required=True,
        default_value="UTF-8",
        allowable_values=["UTF-8", "hex"],
    )
    HEADERS = PropertyDescriptor(
        name="Headers",
        description="Names of the attributes to send as headers, between commas; 'kafka.header.' before a name is "
        "left out of the header's. puid, trace, model and version are sent by themselves.",
        validators=[StandardValidators.ALWAYS_VALID],
        expression_language_scope=ExpressionLanguageScope.ENVIRONMENT,
    )
    RECORDS = PropertyDescriptor(
        name="Records per FlowFile",
        description="Whether the whole content is a record, or each line of it.",
        required=True,
        default_value="one record",
        allowable_values=["one record", "one record per line"],
    )
    DEADLINE = PropertyDescriptor(
        name="Deadline",
        description="For the replicas to acknowledge; after it the FlowFile goes to retry.",
        required=True,
        default_value="30 sec",
        validators=[StandardValidators.TIME_PERIOD_VALIDATOR],
    )
    PROTOCOL = PropertyDescriptor(
        name="Security protocol",
        description="How to talk to the brokers.",
        required=True,
        default_value="PLAINTEXT",
        allowable_values=["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
    )
    MECHANISM = PropertyDescriptor(
        name="SASL mechanism",
        description="How to log in.",
        default_value="SCRAM-SHA-512",
        allowable_values=["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"],
        dependencies=[PropertyDependency(PROTOCOL, "SASL_PLAINTEXT", "SASL_SSL")],
    )
    USER = PropertyDescriptor(
        name="User",
        description="For SASL.",
        validators=[StandardValidators.NON_EMPTY_VALIDATOR],
        expression_language_scope=ExpressionLanguageScope.ENVIRONMENT,
        dependencies=[PropertyDependency(PROTOCOL, "SASL_PLAINTEXT", "SASL_SSL")],
    )
    PASSWORD = PropertyDescriptor(
        name="Password",
        description="For SASL.",
        sensitive=True,
        dependencies=[PropertyDependency(PROTOCOL, "SASL_PLAINTEXT", "SASL_SSL")],
    )
    CERTIFICATES = PropertyDescriptor(
        name="Trusted certificates",
        description="A PEM file with the authorities to trust, instead of the well-known ones.",
        validators=[StandardValidators.FILE_EXISTS_VALIDATOR],
        expression_language_scope=ExpressionLanguageScope.ENVIRONMENT,
        dependencies=[PropertyDependency(PROTOCOL, "SSL", "SASL_SSL")],
    )

    # One list for all times, see `penstock.processors.java_calls`.
    RELATIONSHIPS: ClassVar[list[Relationship]] = [
        Relationship("success", "The FlowFile as it came, once all replicas have its records."),
        Relationship("failure", "The FlowFile as it came, where the broker does not take such a record, or us."),
        Relationship("retry", "The FlowFile as it came, where Kafka is unreachable or too slow."),
    ]

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self._lock = Lock()
        self._writer: TopicWriter | None = None
        self._java = JavaCalls(JvmHolder.jvm, together=QUICK)

    def getPropertyDescriptors(self) -> list[PropertyDescriptor]:
        """The properties."""
        return [
            self.SERVERS, self.TOPIC, self.KEY, self.KEY_ENCODING, self.HEADERS, self.RECORDS, self.DEADLINE,
            self.PROTOCOL, self.MECHANISM, self.USER, self.PASSWORD, self.CERTIFICATES,
        ]  # fmt: skip

    def getRelationships(self) -> list[Relationship]:
        """Beside NiFi's own: original and failure."""
        return self.RELATIONSHIPS

    def customValidate(self, context: ValidationContext) -> list[ValidationResult]:
        """What the properties' own validators cannot see."""
        wrong = problem(constant_values(context))
        return [ValidationResult(subject="Connection", explanation=wrong, valid=False)] if wrong else []

    def onScheduled(self, context: ProcessContext) -> None:
        """Take what the properties say; the first FlowFile connects."""
        self.onStopped(context)
        self._prepare(context)

    def onStopped(self, _context: ProcessContext) -> None:
        """Close the producer."""
        with self._lock:
            writer, self._writer = self._writer, None
        if writer:
            writer.close()

    def _prepare(self, context: ProcessContext) -> TopicWriter:
        # Also from transform: where NiFi has had to start the Python process again, it does not call onScheduled.
        with self._lock:
            if self._writer is None:
                values = constant_values(context)
                self._writer = TopicWriter(cluster_of(values), writing_of(values))
            return self._writer

    def transform(self, context: ProcessContext, flowfile: Any) -> Transformed:
        """One FlowFile. Whatever is asked of `flowfile` is a call to the JVM."""
        writer = self._writer or self._prepare(context)
        wanted = ["kafka.tombstone", *writer.writing.headers, *SENT]
        content, (tombstone, *values) = self._java.read(flowfile, wanted)
        headers, joined = values[: -len(SENT)], values[-len(SENT) :]
        outcome = writer(
            Publication(
                content=content,
                topic=value_for(context, "Topic", flowfile) or "",
                key=value_for(context, "Key", flowfile),
                tombstone=tombstone == "true",
                headers=headers,
                lineage=dict(zip(SENT, joined, strict=True)),
            )
        )
        if outcome.relationship == RETRY:
            self.logger.warn(outcome.attributes["publishtopic.error.message"])
            context.yield_resources()
        return Transformed(outcome, self._java)
