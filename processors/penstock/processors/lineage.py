"""What joins a Kafka record, a FlowFile, a call and a result: the puid and the W3C trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# The attributes of a FlowFile that a call carries on.
PASSED_ON: Final = ("puid", "traceparent", "tracestate")
# Attributes that PublishTopic sends by itself, and their headers, as streams name them; the first that is there counts.
SENT: Final = {
    "invokemodel.puid": "puid",
    "puid": "puid",
    "traceparent": "traceparent",
    "tracestate": "tracestate",
    "invokemodel.model": "penstock-model",
    "invokemodel.version": "penstock-version",
}
_CALL: Final = "penstock-call"  # the puid of a call for several records
_NAMES: Final = {"seldon-puid": "puid"} | {name: name for name in PASSED_ON}


def attributes_of(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """The attributes that the headers of a record become, beside those with ConsumeTopic's prefix."""
    found: dict[str, str] = {}
    for name, value in headers:
        attribute = _NAMES.get(name.lower())
        if attribute and value:
            found.setdefault(attribute, value.decode(errors="replace"))
    return found


def trace_headers(parent: str | None, state: str | None) -> dict[str, str]:
    """The headers of a call for what is part of a trace; none where it is part of none."""
    if not parent:
        return {}
    return {"traceparent": parent, "tracestate": state} if state else {"traceparent": parent}


def headers_of(attributes: Mapping[str, str | None], *, several: bool) -> dict[str, str]:
    """The headers that attributes become.

    Args:
        attributes: those of `SENT`, None where one is missing.
        several: whether the FlowFile is several records; its puid is that of their call then.
    """
    found: dict[str, str] = {}
    for attribute, header in SENT.items():
        value = attributes.get(attribute)
        if value:
            found.setdefault(_CALL if several and header == "puid" else header, value)
    return found
