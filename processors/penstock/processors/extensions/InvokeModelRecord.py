"""NiFi's side of InvokeModelRecord; what it does is in `penstock.processors`."""

from __future__ import annotations

import json
import os
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from nifiapi.properties import ExpressionLanguageScope, PropertyDescriptor, StandardValidators, ValidationResult
from nifiapi.recordtransform import RecordTransform, RecordTransformResult, __RecordTransformResult__
from nifiapi.relationship import Relationship

from penstock.processors.connections import CLIENTS
from penstock.processors.lineage import PASSED_ON, trace_headers
from penstock.processors.model_names import ModelChoice
from penstock.processors.outcomes import RETRY
from penstock.processors.properties import constant_values, problems, value_for
from penstock.processors.quick_replies import quicken
from penstock.processors.records import RecordInvocation, RecordOutcome
from penstock.processors.settings import ADDRESS_VARIABLE, DEFAULT_ADDRESS, connection_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nifiapi.properties import ProcessContext, ValidationContext

    from penstock.processors.connections import Lease

quicken()


class InvokeModelRecord(RecordTransform):
    """Sends fields of each record to a model and adds the prediction to the record."""

    class Java:
        """What NiFi calls this class through."""

        implements = ["org.apache.nifi.python.processor.RecordTransform"]

    class ProcessorDetails:
        """What NiFi shows of this processor."""

        version = "0.1.0"
        description = (
            "Sends fields of each record to a model service of Seldon's protocol and adds the prediction to the "
            "record. Many records go in one call."
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
    FEATURE_FIELDS = PropertyDescriptor(
        name="Feature fields",
        description="The fields that the model gets, in its order: comma-separated names, or paths such as "
        "/flower/petal. All fields of the record where empty.",
        validators=[StandardValidators.NON_EMPTY_VALIDATOR],
    )
    PREDICTION_FIELD = PropertyDescriptor(
        name="Prediction field",
        description="The field that is added: a single value as it is, several by their names.",
        required=True,
        default_value="prediction",
        validators=[StandardValidators.NON_EMPTY_VALIDATOR],
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
        Relationship("success", "The records with the prediction."),
        Relationship("failure", "Records as they came, where a field is missing or the model refuses."),
        Relationship("retry", "Records as they came, where the service is unreachable, overloaded or too slow."),
    ]

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self._choice = ModelChoice()
        self._lock = Lock()
        self._call: RecordInvocation | None = None
        self._lease: Lease | None = None

    def getPropertyDescriptors(self) -> list[PropertyDescriptor]:
        """The properties; NiFi asks again after each validation."""
        return [
            _with_choice(self.MODEL_NAME, self._choice.offered()),
            self.FEATURE_FIELDS, self.PREDICTION_FIELD, self.SERVICE_ADDRESS, self.DEADLINE, self.RETRIES,
            self.MESSAGE_SIZE, self.TOKEN, self.TOKEN_ADDRESS, self.CLIENT_ID, self.USER, self.PASSWORD,
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

    def _prepare(self, context: ProcessContext) -> RecordInvocation:
        # Also from transform: where NiFi has had to start the Python process again, it does not call onScheduled.
        with self._lock:
            if self._call is None:
                values = constant_values(context)
                self._lease = CLIENTS.lease(connection_of(values))
                field = values.get("Prediction field") or "prediction"
                self._call = RecordInvocation(self._lease, values.get("Feature fields"), field)
            return self._call

    def transformRecord(self, jsonarray: str, _schema: Any, attributemap: Any) -> Any:
        """All records that NiFi has read, up to 1 MB of them: one call, where NiFi's own would make one for each."""
        context = self.process_context
        outcomes = self._outcomes(context, json.loads(jsonarray), attributemap)
        results = self.arrayList()
        for outcome in outcomes:
            results.add(__RecordTransformResult__(_result(outcome), json.dumps(outcome.record)))
        if any(outcome.relationship == RETRY for outcome in outcomes):
            context.yield_resources()
        return results

    def transform(
        self, context: ProcessContext, record: dict[str, Any], _schema: Any, attributemap: Any
    ) -> RecordTransformResult:
        """One record: what a NiFi calls that does not know `transformRecord`."""
        return _result(self._outcomes(context, [record], attributemap)[0])

    def _outcomes(
        self, context: ProcessContext, records: list[dict[str, Any]], attributemap: Any
    ) -> list[RecordOutcome]:
        call = self._call or self._prepare(context)
        puid, parent, state = (attributemap.getAttribute(name) for name in PASSED_ON)
        model = value_for(context, "Model name", attributemap) or ""
        outcomes = call(records, model, puid=puid or "", trace=trace_headers(parent, state))
        for error in {outcome.error for outcome in outcomes if outcome.error}:
            self.logger.warn(error)
        return outcomes


def _result(outcome: RecordOutcome) -> RecordTransformResult:
    # NiFi writes a FlowFile for each relationship and partition, with the partition's entries as attributes.
    return RecordTransformResult(
        record=outcome.record, relationship=outcome.relationship, partition=outcome.attributes or None
    )


def _with_choice(descriptor: PropertyDescriptor, names: Sequence[str] | None) -> PropertyDescriptor:
    if not names:
        return descriptor
    return PropertyDescriptor(
        name=descriptor.name,
        description=descriptor.description,
        allowable_values=list(names),
        expression_language_scope=ExpressionLanguageScope.FLOWFILE_ATTRIBUTES,
    )
