"""What EncapsulatePayload, ExtractPrediction, ConsumeTopic and PublishTopic have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .outcomes import FAILURE, RETRY, Outcome

if TYPE_CHECKING:
    from penstock.proto import PenstockError

    from .java_calls import JavaCalls


def failed(processor: str, error: PenstockError) -> Outcome:
    """The outcome of something that went wrong: the content unchanged, the error in attributes.

    Args:
        processor: its name, whose lower-case form the attributes begin with.
        error: to retry where the same can succeed later, else to failure.
    """
    prefix = processor.lower()
    attributes = {f"{prefix}.error.code": error.code, f"{prefix}.error.message": error.message}
    return Outcome(RETRY if error.retryable else FAILURE, attributes)


class _Result:
    """What NiFi's Java side asks; its own result classes ask the JVM for each attribute."""

    def __init__(self, outcome: Outcome, java: JavaCalls) -> None:
        self._outcome = outcome
        self._java = java

    def getRelationship(self) -> str:  # noqa: N802  (NiFi's name, as the next two)
        return self._outcome.relationship

    def getContents(self) -> bytes | None:  # noqa: N802
        return self._outcome.contents

    def getAttributes(self) -> Any:  # noqa: N802
        return self._java.java_map(self._outcome.attributes) if self._outcome.attributes else None


class Transformed(_Result):
    """The result of a FlowFileTransform."""

    class Java:
        """What NiFi calls this class through."""

        implements: Final = ["org.apache.nifi.python.processor.FlowFileTransformResult"]


class Created(_Result):
    """The result of a FlowFileSource."""

    class Java:
        """What NiFi calls this class through."""

        implements: Final = ["org.apache.nifi.python.processor.FlowFileSourceResult"]
