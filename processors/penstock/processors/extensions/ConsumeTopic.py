"""NiFi's side of ConsumeTopic; what it does is in `penstock.processors.topics_consuming`."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from nifiapi.__jvm__ import JvmHolder
from nifiapi.flowfilesource import FlowFileSource
from nifiapi.properties import (
    ExpressionLanguageScope,
    PropertyDependency,
    PropertyDescriptor,
    StandardValidators,
    ValidationResult,
)
from nifiapi.relationship import Relationship

from penstock.processors.java_calls import JavaCalls
from penstock.processors.properties import constant_values
from penstock.processors.quick_replies import quicken
from penstock.processors.results import Created
from penstock.processors.topics_cluster import cluster_of
from penstock.processors.topics_consuming import TopicReader, problem, reading_of
from penstock.proto import PenstockError, SetupError

if TYPE_CHECKING:
    from nifiapi.properties import ProcessContext, ValidationContext

QUICK = quicken()


class ConsumeTopic(FlowFileSource):
    """Makes FlowFiles of the records of Kafka topics, each at least once."""

    class Java:
        """What NiFi calls this class through."""

        implements = ["org.apache.nifi.python.processor.FlowFileSource"]

    class ProcessorDetails:
        """What NiFi shows of this processor."""

        version = "0.1.0"
        description = (
            "Reads Kafka topics, each record at least once, for a NiFi without the Kafka NARs. Set the Run Schedule "
            "to 0 sec (NiFi proposes 1 min), and leave it one concurrent task."
        )
        tags = ["kafka", "topic", "consume", "ingest", "penstock"]

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
        description="The topic to read; several between commas.",
        required=True,
        validators=[StandardValidators.NON_EMPTY_VALIDATOR],
        expression_language_scope=ExpressionLanguageScope.ENVIRONMENT,
    )
    GROUP = PropertyDescriptor(
        name="Group id",
        description="The consumer group: its members share the partitions, and Kafka keeps how far it has read.",
        required=True,
        validators=[StandardValidators.NON_EMPTY_VALIDATOR],
        expression_language_scope=ExpressionLanguageScope.ENVIRONMENT,
    )
    STARTING_OFFSET = PropertyDescriptor(
        name="Starting offset",
        description="Where a group begins that has read nothing yet: with the earliest record, or with those to come.",
        required=True,
        default_value="earliest",
        allowable_values=["earliest", "latest"],
    )
    RECORDS = PropertyDescriptor(
        name="Records per FlowFile",
        description="At most so many records become one FlowFile, one on each line, as soon as there are any; they "
        "are of one partition, and their keys and headers are dropped. 1 keeps them.",
        required=True,
        default_value="1",
        validators=[StandardValidators.POSITIVE_INTEGER_VALIDATOR],
    )
    KEY_ENCODING = PropertyDescriptor(
        name="Key encoding",
        description="How the attribute kafka.key holds the key: as text, or in hexadecimal where it is none.",
        required=True,
        default_value="UTF-8",
        allowable_values=["UTF-8", "hex"],
    )
    HEADER_PREFIX = PropertyDescriptor(
        name="Header prefix",
        description="Begins the names of the attributes with the headers of a record.",
        required=True,
        default_value="kafka.header.",
        validators=[StandardValidators.NON_EMPTY_VALIDATOR],
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
        Relationship("success", "A FlowFile for each record, or for as many as the properties say.")
    ]

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self._lock = Lock()
        self._reader: TopicReader | None = None
        self._java = JavaCalls(JvmHolder.jvm, together=QUICK)

    def getPropertyDescriptors(self) -> list[PropertyDescriptor]:
        """The properties."""
        return [
            self.SERVERS, self.TOPIC, self.GROUP, self.STARTING_OFFSET, self.RECORDS, self.KEY_ENCODING,
            self.HEADER_PREFIX, self.PROTOCOL, self.MECHANISM, self.USER, self.PASSWORD, self.CERTIFICATES,
        ]  # fmt: skip

    def getRelationships(self) -> list[Relationship]:
        """The only one of a source."""
        return self.RELATIONSHIPS

    def customValidate(self, context: ValidationContext) -> list[ValidationResult]:
        """What the properties' own validators cannot see."""
        wrong = problem(constant_values(context))
        return [ValidationResult(subject="Connection", explanation=wrong, valid=False)] if wrong else []

    def onScheduled(self, context: ProcessContext) -> None:
        """Take what the properties say; the first `create` connects."""
        self.onStopped(context)
        self._prepare(context)

    def onStopped(self, _context: ProcessContext) -> None:
        """Commit what NiFi has stored by now, and leave the group."""
        with self._lock:
            reader, self._reader = self._reader, None
        if reader:
            reader.close()

    def _prepare(self, context: ProcessContext) -> TopicReader:
        # Also from create: where NiFi has had to start the Python process again, it does not call onScheduled.
        with self._lock:
            if self._reader is None:
                if context.java_context.getMaxConcurrentTasks() > 1:
                    raise SetupError("ConsumeTopic has one concurrent task: with more, a kill could lose records")
                values = constant_values(context)
                self._reader = TopicReader(cluster_of(values), reading_of(values))
            return self._reader

    def create(self, context: ProcessContext) -> Created | None:
        """The next FlowFile, if a record comes in half a second."""
        reader = self._reader or self._prepare(context)
        try:
            outcome = reader.next()
        except PenstockError as error:
            self.logger.warn(f"{error.code}: {error.message}")
            context.yield_resources()
            return None
        return Created(outcome, self._java) if outcome else None
