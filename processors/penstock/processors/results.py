"""The results of processors, as NiFi's Java side asks for them: its own classes ask the JVM for each attribute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .java_calls import JavaCalls
    from .outcomes import Outcome


class _Result:
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
