"""NiFi's side of InvokeModel; what it does is in `penstock.processors`."""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from nifiapi.__jvm__ import JvmHolder
from nifiapi.flowfiletransform import FlowFileTransform
from nifiapi.properties import ExpressionLanguageScope, PropertyDescriptor, StandardValidators, ValidationResult
from nifiapi.relationship import Relationship

from penstock.processors.connections import CLIENTS
from penstock.processors.invocation import PROCESSOR, Invocation, Request
from penstock.processors.java_calls import JavaCalls
from penstock.processors.lineage import trace_headers
from penstock.processors.model_names import ModelChoice
from penstock.processors.outcomes import ERROR_CODE, RETRY, SUCCESS, failed
from penstock.processors.properties import constant_values, problems, value_for
from penstock.processors.quick_replies import quicken
from penstock.processors.results import Transformed
from penstock.processors.settings import ADDRESS_VARIABLE, DEFAULT_ADDRESS, connection_of, formats_of
from penstock.proto import LimitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nifiapi.properties import ProcessContext, ValidationContext

    from penstock.processors.connections import Lease
    from penstock.processors.outcomes import Outcome

QUICK = quicken()
ATTRIBUTES = ("invokemodel.puid", "puid", "traceparent", "tracestate", ERROR_CODE)


class InvokeModel(FlowFileTransform):
    """Sends the content of each FlowFile to a model and replaces it with the answer."""

    class Java:
        """What NiFi calls this class through."""

        implements = ["org.apache.nifi.python.processor.FlowFileTransform"]

    class ProcessorDetails:
        """What NiFi shows of this processor."""

        version = "0.1.0"
        description = (
            "Sends the content of each FlowFile to a model service of Seldon's protocol and replaces it with the "
            "answer. Six formats, one payload or one row per line, gRPC or REST."
        )
        tags = ["model", "inference", "prediction", "machine learning", "seldon", "onnx", "penstock"]

    MODEL_NAME = PropertyDescriptor(
        name="Model name",
        description="The model service to call. The list shows what the service address knows, a few seconds after "
        "the address is set; where nobody answers there, any name can be entered. Sent along, so that a gateway can "
        "choose the service by it.",
        validators=[StandardValidators.NON_EMPTY_VALIDATOR],
        expression_language_scope=ExpressionLanguageScope.FLOWFILE_ATTRIBUTES,
    )
    INPUT_FORMAT = PropertyDescriptor(
        name="Input format",
        description="What the content is, and what the model gets: binData are the bytes as they are, strData is text, "
        "jsonData any JSON, ndarray a nested list, tensor an object with shape and values, tftensor a TensorProto.",
        required=True,
        default_value="ndarray",
        allowable_values=["binData", "strData", "jsonData", "ndarray", "tensor", "tftensor"],
    )
    FEATURE_NAMES = PropertyDescriptor(
        name="Feature names",
        description="Comma-separated names of the columns. Used only where the FlowFile has no attribute featureNames.",
        validators=[StandardValidators.ALWAYS_VALID],
        expression_language_scope=ExpressionLanguageScope.FLOWFILE_ATTRIBUTES,
    )
    SERVICE_ADDRESS = PropertyDescriptor(
        name="Service address",
        description="host:port of gRPC, or grpcs://host:port, http://host:port/path, https://host/path. A gateway, or "
        "a model service itself. Where the environment variable PENSTOCK_SERVICE_ADDRESS is set, it is the default.",
        required=True,
        default_value=os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS,
        validators=[StandardValidators.NON_EMPTY_VALIDATOR],
        expression_language_scope=ExpressionLanguageScope.ENVIRONMENT,
    )
    OUTPUT_FORMAT = PropertyDescriptor(
        name="Output format",
        description="What the content becomes.",
        required=True,
        default_value="same as input",
        allowable_values=["same as input", "binData", "strData", "jsonData", "ndarray", "tensor", "tftensor"],
    )
    ROWS = PropertyDescriptor(
        name="Rows per FlowFile",
        description="'one payload': the content is one request. 'one row per line': each line is a row; all rows go "
        "in one call, and the answer has a line for each, in the same order.",
        required=True,
        default_value="one payload",
        allowable_values=["one payload", "one row per line"],
    )
    DEADLINE = PropertyDescriptor(
        name="Deadline",
        description="For a call with its retries.",
        required=True,
        default_value="3 sec",
        validators=[StandardValidators.TIME_PERIOD_VALIDATOR],
    )
    RETRIES = PropertyDescriptor(
        name="Retries",
        description="How often a call is repeated, with growing waits within the deadline, where the service cannot "
        "be reached, is overloaded or stops. After that the FlowFile goes to retry.",
        required=True,
        default_value="3",
        validators=[StandardValidators.NON_NEGATIVE_INTEGER_VALIDATOR],
    )
    MESSAGE_SIZE = PropertyDescriptor(
        name="Maximum message size",
        description="Of a request or an answer.",
        required=True,
        default_value="64 MB",
        validators=[StandardValidators.DATA_SIZE_VALIDATOR],
    )
    TOKEN = PropertyDescriptor(name="Token", description="A bearer token to call with.", sensitive=True)
    TOKEN_ADDRESS = PropertyDescriptor(
        name="Token address",
        description="Where to get a token: the OAuth2 token endpoint, for User and Password.",
        validators=[StandardValidators.NON_EMPTY_VALIDATOR],
        expression_language_scope=ExpressionLanguageScope.ENVIRONMENT,
    )
    CLIENT_ID = PropertyDescriptor(
        name="Client id",
        description="The application, as the token service knows it; mxe-rest-client unless given.",
        validators=[StandardValidators.NON_EMPTY_VALIDATOR],
        expression_language_scope=ExpressionLanguageScope.ENVIRONMENT,
    )
    USER = PropertyDescriptor(
        name="User",
        description="For the token address.",
        validators=[StandardValidators.NON_EMPTY_VALIDATOR],
        expression_language_scope=ExpressionLanguageScope.ENVIRONMENT,
    )
    PASSWORD = PropertyDescriptor(name="Password", description="For the token address.", sensitive=True)
    CERTIFICATES = PropertyDescriptor(
        name="Trusted certificates",
        description="A PEM file with the authorities to trust, instead of the well-known ones.",
        validators=[StandardValidators.FILE_EXISTS_VALIDATOR],
        expression_language_scope=ExpressionLanguageScope.ENVIRONMENT,
    )

    # One list for all times, see `penstock.processors.java_calls`.
    RELATIONSHIPS: ClassVar[list[Relationship]] = [
        Relationship("success", "The FlowFile with the model's answer as its content."),
        Relationship("failure", "The FlowFile as it came, where it or the answer cannot be read or is refused."),
        Relationship("retry", "The FlowFile as it came, where the service is unreachable, overloaded or too slow."),
    ]

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self._choice = ModelChoice()
        self._lock = Lock()
        self._call: Invocation | None = None
        self._lease: Lease | None = None
        self._java = JavaCalls(JvmHolder.jvm, together=QUICK)

    def getPropertyDescriptors(self) -> list[PropertyDescriptor]:
        """The properties; NiFi asks again after each validation."""
        return [
            _with_choice(self.MODEL_NAME, self._choice.offered()),
            self.INPUT_FORMAT, self.FEATURE_NAMES, self.SERVICE_ADDRESS, self.OUTPUT_FORMAT, self.ROWS, self.DEADLINE,
            self.RETRIES, self.MESSAGE_SIZE, self.TOKEN, self.TOKEN_ADDRESS, self.CLIENT_ID, self.USER, self.PASSWORD,
            self.CERTIFICATES,
        ]  # fmt: skip

    def getRelationships(self) -> list[Relationship]:
        """Beside NiFi's own: original and failure."""
        return self.RELATIONSHIPS

    def customValidate(self, context: ValidationContext) -> list[ValidationResult]:
        """What the properties' own validators cannot see; the only place where NiFi tells their values early."""
        found = problems(context, self._choice)
        return [ValidationResult(subject=subject, explanation=text, valid=False) for subject, text in found.items()]

    def onScheduled(self, context: ProcessContext) -> None:
        """Take what the properties say, once for all FlowFiles until the processor stops."""
        self.onStopped(context)
        self._prepare(context)

    def onStopped(self, _context: ProcessContext) -> None:
        """Give the channel back; the last processor that uses it closes it."""
        with self._lock:
            lease, self._lease, self._call = self._lease, None, None
        if lease:
            lease.give_back()

    def _prepare(self, context: ProcessContext) -> Invocation:
        # Also from transform: where NiFi has had to start the Python process again, it does not call onScheduled.
        with self._lock:
            if self._call is None:
                values = constant_values(context)
                formats = formats_of(values)
                self._lease = CLIENTS.lease(connection_of(values))
                self._call = Invocation(self._lease, formats)
            return self._call

    def transform(self, context: ProcessContext, flowfile: Any) -> Transformed:
        """One FlowFile."""
        outcome = self._outcome(self._call or self._prepare(context), context, flowfile)
        if outcome.relationship != SUCCESS:
            self.logger.warn(outcome.error)
        if outcome.relationship == RETRY:
            context.yield_resources()
        return Transformed(outcome, self._java)

    def _outcome(self, call: Invocation, context: ProcessContext, flowfile: Any) -> Outcome:
        wanted = (*ATTRIBUTES, "featureNames") if call.takes_names else ATTRIBUTES
        try:
            content, (former, puid, parent, state, error, *names) = self._java.read(flowfile, wanted, call.most_bytes)
        except LimitError as too_large:
            return failed(PROCESSOR, too_large)
        outcome = call(
            Request(
                content=content,
                model=value_for(context, "Model name", flowfile) or "",
                names=(names and names[0]) or value_for(context, "Feature names", flowfile),
                puid=former or puid,
                trace=trace_headers(parent, state),
            )
        )
        return outcome.after_error() if error else outcome


def _with_choice(descriptor: PropertyDescriptor, names: Sequence[str] | None) -> PropertyDescriptor:
    if not names:
        return descriptor
    return PropertyDescriptor(
        name=descriptor.name,
        description=descriptor.description,
        allowable_values=list(names),
        expression_language_scope=ExpressionLanguageScope.FLOWFILE_ATTRIBUTES,
    )
