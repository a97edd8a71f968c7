"""Reading properties through NiFi's contexts, which are known here only by how they behave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.proto.errors import SetupError

from .connections import connect
from .settings import connection_of, formats_of

if TYPE_CHECKING:
    from .model_names import ModelChoice


def constant_values(context: Any) -> dict[str, str | None]:
    """The value of each property, parameters filled in, expressions evaluated without a FlowFile."""
    names = [descriptor.name for descriptor in context.getProperties()]
    return {name: _constant(context.getProperty(name)) for name in names}


def _constant(value: Any) -> str | None:
    if value.isExpressionLanguagePresent():
        # NiFi's own Python method wants a FlowFile, even for environment variables.
        return value.property_value.evaluateAttributeExpressions().getValue()  # type: ignore[no-any-return]
    return value.getValue()  # type: ignore[no-any-return]


def value_for(context: Any, name: str, flowfile: Any) -> str | None:
    """The value of a property for one FlowFile; a call to the JVM only where there is an expression in it."""
    value = context.getProperty(name)
    reference = getattr(value, "referenced_attribute", None)
    if reference is not None and value.getValue() not in (f"${{{reference}}}", f"${{'{reference}'}}"):
        # NiFi's own Python method looks at the beginning only, and takes ${a}-b for ${a}. Seen in 2.3.
        evaluated = value.property_value.evaluateAttributeExpressions(flowfile.getAttributes())
        return evaluated.getValue()  # type: ignore[no-any-return]
    return value.evaluateAttributeExpressions(flowfile).getValue()  # type: ignore[no-any-return]


def problems(context: Any, choice: ModelChoice) -> dict[str, str]:
    """What is wrong with the properties, by the subject that NiFi shows."""
    values = constant_values(context)
    try:
        connection = connection_of(values)
        connect(connection).close()  # reads the address; nothing is connected
    except SetupError as error:
        return {"Connection": error.message}
    found: dict[str, str] = {}
    try:
        formats_of(values)
    except SetupError as error:
        found["Formats"] = error.message
    # As written: the expression itself where there is one, since its value depends on the FlowFile.
    if wrong := choice.validated(connection, context.getProperty("Model name").getValue()):
        found["Model name"] = wrong
    return found
