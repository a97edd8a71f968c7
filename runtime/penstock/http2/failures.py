"""What a peer can do wrong, and how far it reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .frames import Code


class ConnectionFailed(Exception):  # noqa: N818  (the RFC's *connection error*)
    """The connection ends with GOAWAY."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class StreamFailed(Exception):  # noqa: N818  (the RFC's *stream error*)
    """One stream ends with RST_STREAM; the others go on."""

    def __init__(self, stream: int, code: Code) -> None:
        super().__init__(code.name)
        self.stream = stream
        self.code = code
