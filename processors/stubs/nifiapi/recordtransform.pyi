from collections.abc import Mapping
from typing import Any

class RecordTransform:
    identifier: str
    logger: Any
    process_context: Any
    arrayList: Any
    def __init__(self) -> None: ...

class RecordTransformResult:
    record: dict[str, Any] | None
    schema: Any
    relationship: str
    partition: Mapping[str, str] | None
    def __init__(
        self,
        record: dict[str, Any] | None = ...,
        schema: Any = ...,
        relationship: str = ...,
        partition: Mapping[str, str] | None = ...,
    ) -> None: ...
    def getRecord(self) -> dict[str, Any] | None: ...

class __RecordTransformResult__:
    def __init__(self, processor_result: RecordTransformResult, recordJson: str | None) -> None: ...
