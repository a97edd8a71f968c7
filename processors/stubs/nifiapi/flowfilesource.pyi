from collections.abc import Mapping
from typing import Any

class FlowFileSource:
    identifier: str
    logger: Any
    def __init__(self) -> None: ...

class FlowFileSourceResult:
    relationship: str
    attributes: Mapping[str, str] | None
    contents: bytes | None
    def __init__(
        self, relationship: str, attributes: Mapping[str, str] | None = ..., contents: bytes | str | None = ...
    ) -> None: ...
    def getAttributes(self) -> Any: ...
