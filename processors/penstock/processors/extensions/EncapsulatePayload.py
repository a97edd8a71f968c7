"""NiFi's side of EncapsulatePayload; what it does is in `penstock.processors.encapsulation`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from nifiapi.__jvm__ import JvmHolder
from nifiapi.flowfiletransform import FlowFileTransform
from nifiapi.properties import ExpressionLanguageScope, PropertyDescriptor, StandardValidators
from nifiapi.relationship import Relationship

from penstock.processors.encapsulation import encapsulation_of
from penstock.processors.java_calls import JavaCalls
from penstock.processors.properties import constant_values, value_for
from penstock.processors.quick_replies import quicken
from penstock.processors.results import Transformed

if TYPE_CHECKING:
    from nifiapi.properties import ProcessContext

    from penstock.processors.encapsulation import Encapsulation

QUICK = quicken()


class EncapsulatePayload(FlowFileTransform):
    """Makes the content of each FlowFile a payload that a model can be sent."""

    class Java:
        """What NiFi calls this class through."""

        implements = ["org.apache.nifi.python.processor.FlowFileTransform"]

    class ProcessorDetails:
        """What NiFi shows of this processor."""

        version = "0.1.0"
        description = (
            "Makes any content a payload of Seldon's protocol: image bytes as base64 in an ndarray, text, JSON, or "
            "lines of numbers with their names."
        )
        tags = ["model", "inference", "seldon", "ndarray", "base64", "csv", "penstock"]

    OUTPUT_FORMAT = PropertyDescriptor(
        name="Output format",
        description="The payload to make: ndarray is a nested list, tensor an object with shape and values, tftensor "
        "a TensorProto, jsonData any JSON, strData text, binData bytes.",
        required=True,
        default_value="ndarray",
        allowable_values=["binData", "strData", "jsonData", "ndarray", "tensor", "tftensor"],
    )
    CONTENT = PropertyDescriptor(
        name="Content",
        description="What the FlowFile holds. 'bytes as base64' and 'text' make one element of it, [[\"…\"]] for an "
        "ndarray; 'JSON' takes its value; 'numbers' makes a row of each line, with commas, semicolons, tabs or spaces "
        "between the numbers.",
        required=True,
        default_value="bytes as base64",
        allowable_values=["bytes as base64", "text", "JSON", "numbers"],
    )
    HEADER = PropertyDescriptor(
        name="Header line",
        description="For 'numbers': whether the first line has the names of the columns.",
        required=True,
        default_value="no",
        allowable_values=["no", "yes"],
    )
    FEATURE_NAMES = PropertyDescriptor(
        name="Feature names",
        description="Comma-separated names of the columns, instead of those in a header line. Used only where the "
        "FlowFile has no attribute featureNames.",
        validators=[StandardValidators.ALWAYS_VALID],
        expression_language_scope=ExpressionLanguageScope.FLOWFILE_ATTRIBUTES,
    )
    ENVELOPE = PropertyDescriptor(
        name="Envelope",
        description="'payload only' is what InvokeModel reads. 'Seldon message' is the whole JSON of a request, with "
        "the names, and the puid of the attribute of that name: for InvokeHTTP.",
        required=True,
        default_value="payload only",
        allowable_values=["payload only", "Seldon message"],
    )

    # One list for all times, see `penstock.processors.java_calls`.
    RELATIONSHIPS: ClassVar[list[Relationship]] = [
        Relationship("success", "The FlowFile with the payload as its content."),
        Relationship("failure", "The FlowFile as it came, where its content is not what the properties say."),
    ]

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self._call: Encapsulation | None = None
        self._java = JavaCalls(JvmHolder.jvm, together=QUICK)

    def getPropertyDescriptors(self) -> list[PropertyDescriptor]:
        """The properties."""
        return [self.OUTPUT_FORMAT, self.CONTENT, self.HEADER, self.FEATURE_NAMES, self.ENVELOPE]

    def getRelationships(self) -> list[Relationship]:
        """Beside NiFi's own: original and failure."""
        return self.RELATIONSHIPS

    def onScheduled(self, context: ProcessContext) -> None:
        """Take what the properties say, once for all FlowFiles until the processor stops."""
        self._prepare(context)

    def _prepare(self, context: ProcessContext) -> Encapsulation:
        # Also from transform: where NiFi has had to start the Python process again, it does not call onScheduled.
        self._call = encapsulation_of(constant_values(context))
        return self._call

    def transform(self, context: ProcessContext, flowfile: Any) -> Transformed:
        """One FlowFile. Whatever is asked of `flowfile` is a call to the JVM."""
        call = self._call or self._prepare(context)
        content, (names, puid) = self._java.read(flowfile, ["featureNames", "puid"])
        outcome = call(content, names or value_for(context, "Feature names", flowfile), puid)
        return Transformed(outcome, self._java)
