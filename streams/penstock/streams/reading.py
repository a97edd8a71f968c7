"""A record's value as the payload that the model is asked with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.proto import ConversionError, Kind, Payload, PayloadError, convert, decode
from penstock.proto.jsontext import loads

if TYPE_CHECKING:
    from .records import Record
    from .spec import Source


class Reading(NamedTuple):
    """What a record holds.

    Attributes:
        payload: the features; an array kind has its rows along the first axis.
        is_row: whether the record's array had one dimension: one row, answered by one row.
        document: the parsed record where its JSON was looked into; None otherwise.
    """

    payload: Payload
    is_row: bool
    document: Any


def read(source: Source, record: Record, *, keep_document: bool) -> Reading:
    """Read one record.

    Args:
        source: what the spec says about it.
        record: with a value.
        keep_document: whether the whole JSON record will be needed again.

    Raises:
        PayloadError: the value is not what the spec says; the code and text go into the dead letter.
    """
    value = record.value or b""
    document = None
    if source.features:
        document = loads(value)
        payload = _features(source, document)
    else:
        if keep_document:
            document = loads(value)
        payload = decode(source.format, value, base64_text=source.base64)
    if not payload.kind.is_array:
        return Reading(payload, is_row=False, document=document)
    return _rows(payload, source.names, document)


def _features(source: Source, document: Any) -> Payload:
    if len(source.features) > 1:
        value: Any = [pointer.get(document) for pointer in source.features]
    else:
        value = source.features[0].get(document)
    if source.format is Kind.STR_DATA:
        return Payload(Kind.STR_DATA, _text(source, value))
    if source.format is Kind.BIN_DATA:
        return decode(Kind.BIN_DATA, _text(source, value).encode(), base64_text=source.base64)
    return convert(Payload(Kind.JSON_DATA, value), source.format)


def _text(source: Source, value: Any) -> str:
    if not isinstance(value, str):
        raise PayloadError(f"{source.features[0]} of the record is no text", code="NOT_TEXT")
    return value


def _rows(payload: Payload, names: tuple[str, ...], document: Any) -> Reading:
    array = payload.array
    if array.ndim == 0:
        raise ConversionError("a single number is no row; write it as [number]", code="NO_DIMENSION")
    is_row = array.ndim == 1
    if is_row or names:
        payload = Payload(payload.kind, array[None] if is_row else array, names or payload.names)
    return Reading(payload, is_row=is_row, document=document)
