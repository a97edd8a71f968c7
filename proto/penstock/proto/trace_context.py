"""W3C Trace Context, level 2: the headers ``traceparent`` and ``tracestate``, read and passed on.

https://www.w3.org/TR/trace-context-2/. A trace that came is carried on, with a span id of our own; none is begun.
Malformed headers are as good as none, and a malformed ``tracestate`` leaves the ``traceparent`` as it is.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"

_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_KNOWN_FLAGS: Final = 0b11  # sampled and random-trace-id; all others have to be zero
_MEMBER: Final = re.compile(
    r"[ \t]*([a-z0-9][a-z0-9_\-*/@]{0,255})=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])[ \t]*"
)
_MOST_MEMBERS: Final = 32
# What everyone has to carry at least; gRPC takes 8 KB of all headers together.
_MOST_STATE: Final = 512
_LONG_MEMBER: Final = 128


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace that something belongs to.

    Attributes:
        trace_id: 32 hexadecimal digits.
        flags: two hexadecimal digits.
        state: what the vendors on the way have added, checked; empty where there is nothing.
    """

    trace_id: str
    flags: str
    state: str = ""

    def parent(self, span: str) -> str:
        """The ``traceparent`` of what is done in the span ``span``."""
        return f"00-{self.trace_id}-{span}-{self.flags}"

    def headers(self, span: str) -> dict[str, str]:
        """The headers of a call made in the span ``span``."""
        parent = {TRACEPARENT: self.parent(span)}
        return parent | {TRACESTATE: self.state} if self.state else parent


def new_span() -> str:
    """A span id: 16 hexadecimal digits, not all zero."""
    return f"{secrets.randbelow((1 << 64) - 1) + 1:016x}"


def read_trace(parents: Iterable[bytes | None], states: Iterable[bytes | None] = ()) -> Trace | None:
    """The trace that headers name.

    Args:
        parents: the values of all headers ``traceparent``; more than one is malformed.
        states: the values of all headers ``tracestate``, in order; they are one list.
    """
    values = [_text(value) for value in parents]
    found = _PARENT.fullmatch(values[0]) if len(values) == 1 else None
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    if not int(trace_id, 16) or not int(parent_id, 16):
        return None
    return Trace(trace_id, f"{int(flags, 16) & _KNOWN_FLAGS:02x}", _state(",".join(map(_text, states))))


def _text(value: bytes | None) -> str:
    return (value or b"").decode("latin-1")


def _state(text: str) -> str:
    """The list as it is to be passed on; empty where it is malformed."""
    members = [member for member in text.split(",") if member.strip(" \t")]
    found = [_MEMBER.fullmatch(member) for member in members]
    pairs = [(match[1], match[2]) for match in found if match is not None]
    if len(pairs) != len(members) or len(pairs) > _MOST_MEMBERS or len(dict(pairs)) != len(pairs):
        return ""
    return _shortened([f"{key}={value}" for key, value in pairs])


def _shortened(members: list[str]) -> str:
    """As many members as there is room for: long ones are left out first, then the last ones."""
    if len(",".join(members)) > _MOST_STATE:
        members = [member for member in members if len(member) <= _LONG_MEMBER]
    while len(",".join(members)) > _MOST_STATE:
        members.pop()
    return ",".join(members)
