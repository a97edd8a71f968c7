"""The values of a batch of records as what the model is asked with.

A batch is read as a whole where all its records are plain rows (`columns`), else one by one, with the same outcome
for each record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.proto import ConversionError, Kind, Payload, PayloadError, convert, decode
from penstock.proto.jsontext import loads

from .columns import columns
from .stacking import divided, grouped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .spec import Source
    from .stacking import Group


@dataclass(slots=True)
class Readings:
    """What the records of a batch hold, by their places in it.

    Attributes:
        groups: those that can be asked for.
        is_row: whether a record's array had one dimension: one row, answered by one row.
        documents: the parsed records where they are needed again.
        errors: of those that are not what the spec says; code and text go into the dead letter.
    """

    groups: list[Group]
    is_row: Sequence[bool]
    documents: dict[int, Any] = field(default_factory=dict)
    errors: dict[int, PayloadError] = field(default_factory=dict)

    def documents_of(self, group: Group) -> Sequence[Any]:
        """The documents of a group's records, in its order; None where they are not needed."""
        if not self.documents:
            return [None] * len(group.members)
        return [self.documents[place] for place in group.members]


def read_batch(source: Source, values: Sequence[bytes | None], *, keep_documents: bool, most_rows: int) -> Readings:
    """Read the records that have a value.

    Args:
        source: what the spec says about them.
        values: of the records; None is passed over.
        keep_documents: whether the JSON records will be needed again.
        most_rows: of one call.
    """
    table = columns(source, values, keep_documents=keep_documents)
    if table is None:
        return _one_by_one(source, values, keep_documents=keep_documents, most_rows=most_rows)
    return Readings(
        [part for group in table.groups for part in divided(group, most_rows)],
        [table.are_rows] * len(values),
        dict(zip(table.places, table.documents, strict=True)) if keep_documents else {},
        table.errors,
    )


def _one_by_one(source: Source, values: Sequence[bytes | None], *, keep_documents: bool, most_rows: int) -> Readings:
    is_row, documents, errors = [False] * len(values), dict[int, Any](), dict[int, PayloadError]()
    members, payloads = [], []
    for place, value in enumerate(values):
        if value is None:
            continue
        try:
            reading = read(source, value, keep_document=keep_documents)
        except PayloadError as error:
            errors[place] = error
        else:
            members.append(place)
            payloads.append(reading.payload)
            is_row[place] = reading.is_row
            documents[place] = reading.document
    return Readings(grouped(members, payloads, most_rows), is_row, documents if keep_documents else {}, errors)


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


def read(source: Source, value: bytes, *, keep_document: bool) -> Reading:
    """Read one record.

    Args:
        source: what the spec says about it.
        value: of the record.
        keep_document: whether the whole JSON record will be needed again.

    Raises:
        PayloadError: the value is not what the spec says; the code and text go into the dead letter.
    """
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
