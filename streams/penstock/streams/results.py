"""Answers as the records that go to the sink: those of a call from one JSON text where that is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.proto import ConversionError, Kind, Payload, PayloadError, convert, encode
from penstock.proto.content import ndarray_to_json
from penstock.proto.jsontext import dumps, loads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .pointers import Pointer
    from .spec import Sink
    from .stacking import Group

    Share = tuple[int, int, bool]


def contents(
    sink: Sink, group: Group, answer: Payload, are_rows: Sequence[bool], documents: Sequence[Any]
) -> Sequence[bytes | PayloadError]:
    """The values of the results of one call, or why there is none.

    Args:
        sink: what the spec says about them.
        group: the records that shared the call.
        answer: to all of them.
        are_rows: whether each was a single row without a list around it; so is its answer.
        documents: the JSON records, where the answer is put into them.
    """
    if len(group.members) == 1:
        return [_tried(sink, answer, documents[0], is_row=are_rows[0])]
    try:
        together = _together(sink, answer, group.rows, are_rows, documents)
    except PayloadError:  # of one record or another: the content of each tells which
        together = None
    if together is not None:
        return together
    return [
        _tried(sink, Payload(answer.kind, answer.array[start:stop], answer.names), document, is_row=is_row)
        for (start, stop, is_row), document in zip(_shares(group.rows, are_rows), documents, strict=True)
    ]


def _shares(rows: Sequence[int], are_rows: Sequence[bool]) -> list[Share]:
    """For each record where its rows start and stop, and whether it is a single row."""
    shares, start = [], 0
    for count, is_row in zip(rows, are_rows, strict=True):
        shares.append((start, start + count, is_row))
        start += count
    return shares


def _tried(sink: Sink, answer: Payload, document: Any, *, is_row: bool) -> bytes | PayloadError:
    try:
        return content(sink, answer, document, is_row=is_row)
    except PayloadError as error:
        return error


def content(sink: Sink, answer: Payload, document: Any, *, is_row: bool) -> bytes:
    """The value of one result.

    Raises:
        PayloadError: the answer has no form in the sink's format, or no place in the record.
    """
    if is_row and answer.kind.is_array and answer.array.ndim > 1 and answer.array.shape[0] == 1:
        answer = Payload(answer.kind, answer.array[0], answer.names)
    if sink.format is not None and sink.format is not answer.kind:
        answer = convert(answer, sink.format)
    if sink.field is None:
        return encode(answer)
    sink.field.put(document, _json(answer))
    return dumps(document)


def _json(answer: Payload) -> Any:
    if answer.kind is Kind.BIN_DATA:
        raise ConversionError("an answer of bytes cannot be put into JSON; set the sink's format", code="NOT_JSON")
    if answer.kind is Kind.STR_DATA:
        return answer.value
    return convert(answer, Kind.JSON_DATA).value


def _together(
    sink: Sink, answer: Payload, rows: Sequence[int], are_rows: Sequence[bool], documents: Sequence[Any]
) -> Sequence[bytes | PayloadError] | None:
    """What `content` gives for each, from one JSON text; None where the answer is no list of numbers."""
    if (sink.format or answer.kind) is not Kind.NDARRAY or answer.array.dtype.kind not in "biuf":
        return None
    text = dumps(ndarray_to_json(convert(answer, Kind.NDARRAY).array))
    has_rows = answer.array.ndim > 1
    if sink.field is not None:
        given = loads(text)
        values = (
            given
            if has_rows and all(are_rows)
            else [
                given[start] if is_row and has_rows else given[start:stop]
                for start, stop, is_row in _shares(rows, are_rows)
            ]
        )
        return [_put(sink.field, document, value) for document, value in zip(documents, values, strict=True)]
    elements = _elements(text, answer.array.ndim)
    if has_rows and all(are_rows):
        return elements
    return [
        elements[start] if is_row and has_rows else b"[%b]" % b",".join(elements[start:stop])
        for start, stop, is_row in _shares(rows, are_rows)
    ]


def _elements(text: bytes, dimensions: int) -> list[bytes]:
    """The texts of the elements of a nested list of numbers, found by the brackets that only they begin with."""
    opening = b"[" * (dimensions - 1)
    return list(map(opening.__add__, text[1 + len(opening) : -1].split(b"," + opening)))


def _put(field: Pointer, document: Any, value: Any) -> bytes | PayloadError:
    try:
        field.put(document, value)
        return dumps(document)
    except PayloadError as error:
        return error
