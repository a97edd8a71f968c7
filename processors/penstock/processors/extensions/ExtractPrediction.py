"""NiFi's side of ExtractPrediction; what it does is in `penstock.processors.extraction`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from nifiapi.__jvm__ import JvmHolder
from nifiapi.flowfiletransform import FlowFileTransform
from nifiapi.properties import ExpressionLanguageScope, PropertyDescriptor, StandardValidators
from nifiapi.relationship import Relationship

from penstock.processors.extraction import extraction_of
from penstock.processors.java_calls import JavaCalls
from penstock.processors.properties import constant_values, value_for
from penstock.processors.quick_replies import quicken
from penstock.processors.results import Transformed

if TYPE_CHECKING:
    from nifiapi.properties import ProcessContext

    from penstock.processors.extraction import Extraction

QUICK = quicken()


class ExtractPrediction(FlowFileTransform):
    """Takes the part that matters out of a model's answer."""

    class Java:
        """What NiFi calls this class through."""

        implements = ["org.apache.nifi.python.processor.FlowFileTransform"]

    class ProcessorDetails:
        """What NiFi shows of this processor."""

        version = "0.1.0"
        description = (
            "Takes a part of a model's answer: all values, the first row, the label with the highest probability, or "
            "the names; writes it as JSON, as CSV, or into attributes."
        )
        tags = ["model", "prediction", "label", "seldon", "json", "csv", "penstock"]

    CONTENT = PropertyDescriptor(
        name="Content",
        description="What the FlowFile holds: the payload, as InvokeModel writes it, or the whole JSON of a Seldon "
        "message, as a service answers InvokeHTTP.",
        required=True,
        default_value="payload",
        allowable_values=["payload", "Seldon message"],
    )
    INPUT_FORMAT = PropertyDescriptor(
        name="Input format",
        description="The format of a payload: the output format of InvokeModel. A Seldon message tells it itself.",
        required=True,
        default_value="ndarray",
        allowable_values=["binData", "strData", "jsonData", "ndarray", "tensor", "tftensor"],
    )
    PART = PropertyDescriptor(
        name="Part",
        description="'values' are all rows; 'first row' the first of them; 'top label' finds the largest number of "
        "each row and tells its label, the number and its column; 'names' are those of the columns.",
        required=True,
        default_value="values",
        allowable_values=["values", "first row", "top label", "names"],
    )
    WRITTEN = PropertyDescriptor(
        name="Written as",
        description="'JSON' and 'CSV' replace the content. 'attributes' keeps it and sets prediction.label, "
        "prediction.probability, prediction.index; prediction.<name> of each column; prediction.values; or "
        "prediction.names.",
        required=True,
        default_value="JSON",
        allowable_values=["JSON", "CSV", "attributes"],
    )
    LABELS = PropertyDescriptor(
        name="Labels",
        description="For 'top label': comma-separated labels of the columns, in their order. Without them the names "
        "are the labels, and without names the numbers of the columns, from 0.",
        validators=[StandardValidators.ALWAYS_VALID],
        expression_language_scope=ExpressionLanguageScope.FLOWFILE_ATTRIBUTES,
    )

    # One list for all times, see `penstock.processors.java_calls`.
    RELATIONSHIPS: ClassVar[list[Relationship]] = [
        Relationship("success", "The FlowFile with the part as its content, or in its attributes."),
        Relationship("failure", "The FlowFile as it came, where the answer is none or has no such part."),
    ]

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self._call: Extraction | None = None
        self._java = JavaCalls(JvmHolder.jvm, together=QUICK)

    def getPropertyDescriptors(self) -> list[PropertyDescriptor]:
        """The properties."""
        return [self.CONTENT, self.INPUT_FORMAT, self.PART, self.WRITTEN, self.LABELS]

    def getRelationships(self) -> list[Relationship]:
        """Beside NiFi's own: original and failure."""
        return self.RELATIONSHIPS

    def onScheduled(self, context: ProcessContext) -> None:
        """Take what the properties say, once for all FlowFiles until the processor stops."""
        self._prepare(context)

    def _prepare(self, context: ProcessContext) -> Extraction:
        # Also from transform: where NiFi has had to start the Python process again, it does not call onScheduled.
        self._call = extraction_of(constant_values(context))
        return self._call

    def transform(self, context: ProcessContext, flowfile: Any) -> Transformed:
        """One FlowFile. Whatever is asked of `flowfile` is a call to the JVM."""
        call = self._call or self._prepare(context)
        content, (names,) = self._java.read(flowfile, ["invokemodel.names"])
        return Transformed(call(content, names, value_for(context, "Labels", flowfile)), self._java)
