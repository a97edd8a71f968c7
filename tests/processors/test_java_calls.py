"""The plain calls, which are made where questions may not be asked together; the others run on the real NiFi."""

from __future__ import annotations

import pytest

from penstock.processors.java_calls import JavaCalls
from penstock.proto import LimitError


class Content:
    """What a FlowFile answers, and what it was asked."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked: list[str] = []

    def getSize(self) -> int:  # noqa: N802
        self.asked.append("size")
        return len(self.content)

    def getContentsAsBytes(self) -> bytes:  # noqa: N802
        self.asked.append("content")
        return self.content

    def getAttribute(self, name: str) -> str | None:  # noqa: N802
        self.asked.append(name)
        return {"puid": "p"}.get(name)


def test_content_and_attributes() -> None:
    calls, flowfile = JavaCalls(None, together=False), Content(b"abc")
    assert calls.read(flowfile, ["puid", "other"]) == (b"abc", ["p", None])
    assert calls.read(flowfile, ["puid"], 3) == (b"abc", ["p"])
    assert flowfile.asked == ["content", "puid", "other", "size", "puid", "content"]


def test_what_is_too_large_is_not_read() -> None:
    flowfile = Content(b"abcd")
    with pytest.raises(LimitError):
        JavaCalls(None, together=False).read(flowfile, [], 3)
    assert flowfile.asked == ["size"]
