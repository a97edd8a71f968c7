"""EncapsulatePayload: any content as a payload of Seldon's protocol."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from penstock.proto import (
    DEFAULT_LIMITS,
    Kind,
    Message,
    Meta,
    Payload,
    PayloadError,
    PenstockError,
    convert,
    decode,
    encode,
    payload_of,
    write_json_message,
)
from penstock.proto.base64text import encode_base64

from .names import read_names, write_names
from .outcomes import SUCCESS, Outcome, failed, mime_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROCESSOR: Final = "EncapsulatePayload"
_SPACE: Final = re.compile(r"\s+")
_WHOLE: Final = re.compile(r"[+-]?\d+", re.ASCII)


class Content(StrEnum):
    """What a FlowFile holds."""

    BYTES = "bytes as base64"
    TEXT = "text"
    JSON = "JSON"
    NUMBERS = "numbers"


class Envelope(StrEnum):
    """What is written around the payload."""

    PAYLOAD = "payload only"
    MESSAGE = "Seldon message"


@dataclass(frozen=True, slots=True)
class Encapsulation:
    """Makes payloads as the properties say.

    Attributes:
        kind: of the payload.
        content: what comes in.
        header: whether the first line of ``numbers`` has names.
        envelope: what is written around it.
    """

    kind: Kind = Kind.NDARRAY
    content: Content = Content.BYTES
    header: bool = False
    envelope: Envelope = Envelope.PAYLOAD

    def __call__(self, content: bytes, names: str | None = None, puid: str | None = None) -> Outcome:
        """The content as a payload; whatever goes wrong is an outcome too.

        Args:
            content: of the FlowFile.
            names: of the columns, as `read_names` reads them; instead of those in a header line.
            puid: identifies the prediction, in the envelope.
        """
        try:
            payload = self._payload(bytes(content))
            if names and payload.kind.is_array:
                payload = payload.renamed(read_names(names))
            written = self._written(payload, puid or "")
        except PenstockError as error:
            return failed(PROCESSOR, error)
        attributes = {"mime.type": self._mime_type()}
        if payload.names:
            attributes["featureNames"] = write_names(payload.names)
        return Outcome(SUCCESS, attributes, written)

    def _payload(self, content: bytes) -> Payload:
        DEFAULT_LIMITS.check_bytes(len(content))
        if self.content is Content.NUMBERS:
            return convert(read_numbers(content, header=self.header), self.kind)
        if self.content is Content.JSON:
            is_list = self.kind.is_array and content.lstrip().startswith(b"[")
            return convert(decode(Kind.NDARRAY if is_list else Kind.JSON_DATA, content), self.kind)
        if self.kind is Kind.BIN_DATA:
            return Payload(Kind.BIN_DATA, content)
        return _one(_TEXTS[self.content](content), self.kind)

    def _written(self, payload: Payload, puid: str) -> bytes:
        if self.envelope is Envelope.PAYLOAD:
            return encode(payload)
        return write_json_message(Message(payload, Meta(puid=puid)))

    def _mime_type(self) -> str:
        return mime_type(self.kind if self.envelope is Envelope.PAYLOAD else Kind.JSON_DATA)


def encapsulation_of(values: Mapping[str, str | None]) -> Encapsulation:
    """What the properties say; unset ones are the defaults."""
    return Encapsulation(
        kind=Kind(values.get("Output format") or Kind.NDARRAY),
        content=Content(values.get("Content") or Content.BYTES),
        header=values.get("Header line") == "yes",
        envelope=Envelope(values.get("Envelope") or Envelope.PAYLOAD),
    )


def read_numbers(content: bytes, *, header: bool = False) -> Payload:
    """Lines of numbers, between commas, semicolons, tabs or spaces, as the rows of an ndarray; empty lines are none.

    Raises:
        PayloadError: ``NOT_NUMBERS`` or ``RAGGED_ROWS``, with the line; or it is not text.
    """
    numbered = enumerate(decode(Kind.STR_DATA, content).value.removeprefix("\ufeff").splitlines(), 1)
    lines = [(number, line) for number, line in numbered if line.strip()]
    names = tuple(_header(lines.pop(0)[1])) if header and lines else ()
    if not lines:
        raise PayloadError("there is no line with numbers", code="NOT_NUMBERS")
    rows = [_row(number, line) for number, line in lines]
    width = len(names or rows[0])
    for (number, _), row in zip(lines, rows, strict=True):
        if len(row) != width:
            first = "header" if names else "first"
            raise PayloadError(f"line {number} has {len(row)} numbers, the {first} line {width}", code="RAGGED_ROWS")
    return payload_of(rows, names=names)


def _row(number: int, line: str) -> list[float]:
    try:
        return [_number(field) for field in _fields(line)]
    except ValueError as error:
        raise PayloadError(f"line {number}: {error}", code="NOT_NUMBERS") from None


def _number(field: str) -> float:
    field = field.strip()
    if _WHOLE.fullmatch(field):
        return int(field)
    if "_" in field:
        raise ValueError(f"{field!r:.40} is no number")
    try:
        return float(field)
    except ValueError:
        raise ValueError(f"{field!r:.40} is no number") from None


def _separator(line: str) -> str | None:
    return next((mark for mark in ",;\t" if mark in line), None)


def _fields(line: str) -> list[str]:
    mark = _separator(line)
    return line.split(mark) if mark else _SPACE.split(line.strip())


def _header(line: str) -> list[str]:
    mark = _separator(line)
    if mark is None:
        return _SPACE.split(line.strip())
    return [name.strip() for name in next(csv.reader([line], delimiter=mark, skipinitialspace=True))]


def _one(text: str, kind: Kind) -> Payload:
    """A text as what it is, or as the only element of an array."""
    if kind in (Kind.STR_DATA, Kind.JSON_DATA):
        return Payload(kind, text)
    return convert(Payload(Kind.NDARRAY, np.array([[text]], dtype=object)), kind)


def _text(content: bytes) -> str:
    return str(decode(Kind.STR_DATA, content).value)


_TEXTS: Final[dict[Content, Callable[[bytes], str]]] = {Content.BYTES: encode_base64, Content.TEXT: _text}
