from collections.abc import Sequence
from enum import Enum
from typing import Any

class ExpressionLanguageScope(Enum):
    NONE = 1
    ENVIRONMENT = 2
    FLOWFILE_ATTRIBUTES = 3

class StandardValidators:
    ALWAYS_VALID: Any
    NON_EMPTY_VALIDATOR: Any
    INTEGER_VALIDATOR: Any
    POSITIVE_INTEGER_VALIDATOR: Any
    POSITIVE_LONG_VALIDATOR: Any
    NON_NEGATIVE_INTEGER_VALIDATOR: Any
    NUMBER_VALIDATOR: Any
    LONG_VALIDATOR: Any
    PORT_VALIDATOR: Any
    NON_EMPTY_EL_VALIDATOR: Any
    HOSTNAME_PORT_LIST_VALIDATOR: Any
    BOOLEAN_VALIDATOR: Any
    URL_VALIDATOR: Any
    URI_VALIDATOR: Any
    REGULAR_EXPRESSION_VALIDATOR: Any
    REGULAR_EXPRESSION_WITH_EL_VALIDATOR: Any
    TIME_PERIOD_VALIDATOR: Any
    DATA_SIZE_VALIDATOR: Any
    FILE_EXISTS_VALIDATOR: Any

class PropertyDescriptor:
    name: str
    description: str
    def __init__(
        self,
        name: str,
        description: str,
        required: bool = ...,
        sensitive: bool = ...,
        display_name: str | None = ...,
        default_value: str | None = ...,
        allowable_values: Sequence[str] | None = ...,
        dependencies: Sequence[PropertyDependency] | None = ...,
        expression_language_scope: ExpressionLanguageScope = ...,
        dynamic: bool = ...,
        validators: Sequence[Any] | None = ...,
        resource_definition: ResourceDefinition | None = ...,
        controller_service_definition: str | None = ...,
    ) -> None: ...

class PropertyDependency:
    def __init__(self, property_descriptor: PropertyDescriptor, *dependent_values: str) -> None: ...

class ResourceDefinition:
    def __init__(
        self,
        allow_multiple: bool = ...,
        allow_file: bool = ...,
        allow_url: bool = ...,
        allow_directory: bool = ...,
        allow_text: bool = ...,
    ) -> None: ...

class PythonPropertyValue:
    property_value: Any
    def getValue(self) -> str | None: ...
    def isSet(self) -> bool: ...
    def isExpressionLanguagePresent(self) -> bool: ...
    def asInteger(self) -> int | None: ...
    def asBoolean(self) -> bool | None: ...
    def asFloat(self) -> float | None: ...
    def evaluateAttributeExpressions(self, attributeMap: Any = ...) -> PythonPropertyValue: ...

class PropertyContext:
    java_context: Any
    def getProperty(self, descriptor: PropertyDescriptor | str) -> PythonPropertyValue: ...
    def getProperties(self) -> dict[PropertyDescriptor, str | None]: ...
    def newPropertyValue(self, value: str) -> PythonPropertyValue: ...

class ProcessContext(PropertyContext):
    def getName(self) -> str: ...
    def yield_resources(self) -> None: ...

class ValidationContext(PropertyContext): ...

class ValidationResult:
    def __init__(
        self, subject: str = ..., explanation: str = ..., valid: bool = ..., input: str | None = ...
    ) -> None: ...
