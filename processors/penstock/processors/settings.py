"""What the properties of InvokeModel and InvokeModelRecord say."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from penstock.client import PasswordGrant
from penstock.proto import DEFAULT_LIMITS, Kind
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_ADDRESS: Final = "127.0.0.1:5000"
ADDRESS_VARIABLE: Final = "PENSTOCK_SERVICE_ADDRESS"
SAME_AS_INPUT: Final = "same as input"

_SECONDS: Final = {
    "ms": 1e-3, "milli": 1e-3, "millis": 1e-3, "millisecond": 1e-3, "milliseconds": 1e-3,
    "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0,
    "m": 60.0, "min": 60.0, "mins": 60.0, "minute": 60.0, "minutes": 60.0,
    "h": 3600.0, "hr": 3600.0, "hrs": 3600.0, "hour": 3600.0, "hours": 3600.0,
}  # fmt: skip
_BYTES: Final = {"b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}  # as NiFi counts them
_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]+)")


class Rows(StrEnum):
    """How much of a FlowFile is one call, and what a row of it is."""

    ONE_PAYLOAD = "one payload"
    ONE_PER_LINE = "one row per line"


@dataclass(frozen=True, slots=True)
class Connection:
    """How a service is reached: processors with equal ones share a channel.

    Attributes:
        address: as `penstock.client.Client` takes it.
        deadline: seconds for a call with its retries.
        retries: calls after a first one that failed.
        max_message_bytes: of a request or a reply.
        token: a bearer token, or where to get one.
        ca_file: PEM file of the authorities to trust; None trusts the well-known ones.
    """

    address: str = DEFAULT_ADDRESS
    deadline: float = 3.0
    retries: int = 3
    max_message_bytes: int = DEFAULT_LIMITS.message_bytes
    token: str | PasswordGrant | None = field(default=None, repr=False)
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class Formats:
    """How content is read and written.

    Attributes:
        input: what a FlowFile holds.
        output: what it will hold; None writes the form that was read.
        rows: whether the whole content, or each line of it, is a row.
    """

    input: Kind = Kind.NDARRAY
    output: Kind | None = None
    rows: Rows = Rows.ONE_PAYLOAD

    def __post_init__(self) -> None:
        if self.rows is Rows.ONE_PER_LINE and Kind.BIN_DATA in (self.input, self.output):
            raise SetupError("'one row per line' is for text: binData has no lines")

    @property
    def written(self) -> Kind:
        """The kind of the outgoing content."""
        return self.output or self.input


def connection_of(values: Mapping[str, str | None]) -> Connection:
    """The connection that properties describe; empty ones count as unset.

    Raises:
        SetupError: a value cannot be read, or one is missing beside another.
    """
    given = {name: value.strip() for name, value in values.items() if value and value.strip()}
    default = Connection()
    return Connection(
        address=given.get("Service address", default.address),
        deadline=seconds(given["Deadline"]) if "Deadline" in given else default.deadline,
        retries=_whole("Retries", given["Retries"]) if "Retries" in given else default.retries,
        max_message_bytes=_size(given["Maximum message size"])
        if "Maximum message size" in given
        else default.max_message_bytes,
        token=_token(given),
        ca_file=given.get("Trusted certificates"),
    )


def formats_of(values: Mapping[str, str | None]) -> Formats:
    """The formats that properties describe.

    Raises:
        SetupError: they do not go together.
    """
    output = values.get("Output format") or SAME_AS_INPUT
    return Formats(
        input=Kind(values.get("Input format") or Kind.NDARRAY),
        output=None if output == SAME_AS_INPUT else Kind(output),
        rows=Rows(values.get("Rows per FlowFile") or Rows.ONE_PAYLOAD),
    )


def seconds(text: str) -> float:
    """A time as NiFi writes it, ``3 sec``.

    Raises:
        SetupError: it is none.
    """
    return _quantity(text, _SECONDS, "a time such as '3 sec' or '500 ms'")


def _size(text: str) -> int:
    return int(_quantity(text, _BYTES, "a size such as '64 MB'"))


def _quantity(text: str, units: Mapping[str, float], example: str) -> float:
    match = _QUANTITY.fullmatch(text.strip())
    if match is None or match[2].lower() not in units:
        raise SetupError(f"{text!r:.40} is not {example}")
    return float(match[1]) * units[match[2].lower()]


def _whole(name: str, text: str) -> int:
    if not text.isdecimal():
        raise SetupError(f"{name} is a whole number, 0 or more, not {text!r:.40}")
    return int(text)


def _token(given: Mapping[str, str]) -> str | PasswordGrant | None:
    if "Token address" not in given:
        return given.get("Token")
    if "Token" in given:
        raise SetupError("set Token or Token address, not both")
    missing = [name for name in ("User", "Password") if name not in given]
    if missing:
        raise SetupError(f"a Token address needs {' and '.join(missing)} too")
    client_id = given.get("Client id", "mxe-rest-client")
    return PasswordGrant(given["Token address"], client_id, given["User"], given["Password"])
