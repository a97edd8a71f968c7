"""What travels beside a payload with MQTT 5: the properties of a PUBLISH packet that the door knows."""

from __future__ import annotations

from dataclasses import dataclass
from struct import pack
from typing import Any, Final

# MQTT 5.0, 2.2.2.2
_EXPIRY: Final = 0x02
_CONTENT_TYPE: Final = b"\x03"
_RESPONSE_TOPIC: Final = b"\x08"
_CORRELATION: Final = b"\x09"
_USER: Final = b"\x26"


@dataclass(frozen=True, slots=True)
class About:
    """What travels beside a payload; all of it only with MQTT 5.

    Attributes:
        response_topic: where the sender wants the reply; empty for none.
        correlation: what the reply is to carry so that the sender knows it; empty for none.
        content_type: MIME type; empty for none.
        expiry: seconds after which nobody wants the message; None for never.
        user: names and values, in order.
    """

    response_topic: str = ""
    correlation: bytes = b""
    content_type: str = ""
    expiry: int | None = None
    user: tuple[tuple[str, str], ...] = ()


def about(properties: Any) -> About:
    """Read paho's properties of a message."""
    return About(
        getattr(properties, "ResponseTopic", ""),
        getattr(properties, "CorrelationData", b""),
        getattr(properties, "ContentType", ""),
        getattr(properties, "MessageExpiryInterval", None),
        tuple(getattr(properties, "UserProperty", ())),
    )


class Packed:
    """The properties of a message that goes out, as the one method that paho calls wants them.

    paho's own class takes a quarter of a worker's time to make the same bytes.
    """

    def __init__(self, what: About) -> None:
        parts = [] if what.expiry is None else [pack(">BI", _EXPIRY, what.expiry)]
        if what.content_type:
            parts += _CONTENT_TYPE, _text(what.content_type)
        if what.response_topic:
            parts += _RESPONSE_TOPIC, _text(what.response_topic)
        if what.correlation:
            parts += _CORRELATION, _counted(what.correlation)
        for name, value in what.user:
            parts += _USER, _text(name), _text(value)
        self._bytes = b"".join(parts)

    def pack(self) -> bytes:
        """Length and properties (MQTT 5.0, 2.2.2)."""
        return _length(len(self._bytes)) + self._bytes


def _text(value: str) -> bytes:
    return _counted(value.encode())


def _counted(value: bytes) -> bytes:
    return pack(">H", len(value)) + value


def _length(number: int) -> bytes:
    """A variable byte integer (MQTT 5.0, 1.5.5)."""
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])
