"""An answer as the record that goes to the sink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.proto import ConversionError, Kind, Payload, convert, encode
from penstock.proto.jsontext import dumps

if TYPE_CHECKING:
    from .reading import Reading
    from .spec import Sink


def content(sink: Sink, reading: Reading, answer: Payload) -> bytes:
    """The value of a result.

    Raises:
        PayloadError: the answer has no form in the sink's format, or no place in the record.
    """
    if reading.is_row and answer.kind.is_array and answer.array.ndim > 1 and answer.array.shape[0] == 1:
        answer = Payload(answer.kind, answer.array[0], answer.names)
    if sink.format is not None and sink.format is not answer.kind:
        answer = convert(answer, sink.format)
    if sink.field is None:
        return encode(answer)
    document = reading.document
    sink.field.put(document, _json(answer))
    return dumps(document)


def _json(answer: Payload) -> Any:
    if answer.kind is Kind.BIN_DATA:
        raise ConversionError("an answer of bytes cannot be put into JSON; set the sink's format", code="NOT_JSON")
    if answer.kind is Kind.STR_DATA:
        return answer.value
    return convert(answer, Kind.JSON_DATA).value
