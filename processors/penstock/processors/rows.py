"""A FlowFile with a row on each line: all of them as one payload, and the answer's rows as lines again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from penstock.proto import (
    ConversionError,
    Kind,
    Limits,
    Payload,
    PayloadError,
    PenstockError,
    ServiceError,
    convert,
    decode,
    encode,
    encode_text,
)
from penstock.proto.jsontext import loads

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.proto.payload import Json

_LARGEST_SHOWN: Final = 200


def read_rows(kind: Kind, content: bytes, limits: Limits) -> tuple[Payload, int]:
    """All lines of ``content`` as one payload, and how many they are. A last line end is no line of its own.

    ndarray, jsonData: a JSON value on each line, an item of one list. tensor, tftensor (in its JSON mapping): a
    tensor on each line, all of one shape. strData: a text on each line, a column of an ndarray.

    Raises:
        PayloadError: a line cannot be read; its number is in the message. LimitError: there is too much.
    """
    limits.check_bytes(len(content))
    lines = content.removesuffix(b"\n").split(b"\n")
    return _READERS[kind](lines, limits), len(lines)


def _read_lists(lines: list[bytes], limits: Limits) -> Payload:
    payload = _read_flat(lines, limits)
    if payload is None:
        rows = _each(lines, lambda line: loads(line, limits))
        payload = decode(Kind.NDARRAY, _joined(lines), limits=limits) if rows else None
    return payload or Payload(Kind.NDARRAY, np.empty((0,)))


def _read_flat(lines: list[bytes], limits: Limits) -> Payload | None:
    """Lists of numbers without lists in them, parsed as one text; None where the lines are something else."""
    text = _joined(lines)
    brackets = len(lines) + 1
    if text.count(b"[") != brackets or text.count(b"]") != brackets or b'"' in text:
        return None
    # One bracket of each kind on each line, at its ends: then no line can borrow from its neighbour.
    if not all(line.startswith(b"[") and line.rstrip().endswith(b"]") for line in lines):
        return None
    try:
        return decode(Kind.NDARRAY, text, limits=limits)
    except PayloadError:
        return None  # line by line the number of the bad one is found


def _read_json(lines: list[bytes], limits: Limits) -> Payload:
    return Payload(Kind.JSON_DATA, _each(lines, lambda line: loads(line, limits)))


def _read_text(lines: list[bytes], limits: Limits) -> Payload:
    texts = _each(lines, lambda line: decode(Kind.STR_DATA, line.removesuffix(b"\r"), limits=limits).value)
    limits.check_shape((len(texts), 1))
    return Payload(Kind.NDARRAY, np.array([[text] for text in texts], dtype=object))


def _read_tensors(kind: Kind) -> Callable[[list[bytes], Limits], Payload]:
    def read(lines: list[bytes], limits: Limits) -> Payload:
        rows = _each(lines, lambda line: _row(decode(kind, line.strip(), limits=limits).array))
        first = rows[0]
        for number, row in enumerate(rows, 1):
            if row.shape != first.shape or row.dtype != first.dtype:
                text = f"a {kind} of {row.dtype}{list(row.shape)}, the first line's is {first.dtype}{list(first.shape)}"
                raise PayloadError(f"line {number}: {text}", code="UNEQUAL_ROWS")
        return Payload(kind, np.stack(rows))

    return read


def _row(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    # A payload of one row is as good as the row.
    return array[0] if array.ndim > 1 and array.shape[0] == 1 else array


_READERS: Final[dict[Kind, Callable[[list[bytes], Limits], Payload]]] = {
    Kind.NDARRAY: _read_lists,
    Kind.JSON_DATA: _read_json,
    Kind.STR_DATA: _read_text,
    Kind.TENSOR: _read_tensors(Kind.TENSOR),
    Kind.TFTENSOR: _read_tensors(Kind.TFTENSOR),
}


def _joined(lines: list[bytes]) -> bytes:
    return b"[%b]" % b",".join(lines)


def _each(lines: list[bytes], read: Callable[[bytes], Any]) -> list[Any]:
    values = []
    for number, line in enumerate(lines, 1):
        try:
            values.append(read(line))
        except PenstockError as error:
            shown = line[:_LARGEST_SHOWN].decode(errors="replace")
            wrong = "is empty" if not line.strip() else f"{error.message}: {shown}"
            raise PayloadError(f"line {number}: {wrong}", code=error.code) from None
    return values


def write_rows(kind: Kind, answer: Payload, count: int) -> bytes:
    """The answer's rows, a line each.

    Raises:
        ServiceError: ``ROW_COUNT``, the answer has another number of rows. ConversionError: a row has no form there.
    """
    rows = _rows_of(answer)
    if len(rows) != count:
        raise ServiceError(f"the model answered {len(rows)} rows for {count} lines", code="ROW_COUNT")
    if isinstance(rows, np.ndarray) and rows.ndim > 1 and kind in (Kind.NDARRAY, Kind.JSON_DATA, Kind.STR_DATA):
        whole = _numeric_lines(rows)
        if whole is not None:
            return whole
    return b"".join(_line(kind, row) + b"\n" for row in rows)


def _rows_of(answer: Payload) -> np.ndarray[Any, Any] | list[Json]:
    if answer.kind.is_array:
        if answer.array.ndim == 0:
            raise ServiceError("the model answered a single value, which has no rows", code="ROW_COUNT")
        return answer.array
    value = answer.value if answer.kind is Kind.JSON_DATA else convert(answer, Kind.JSON_DATA).value
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))  # {"output": [[…]]}, as ONNX models answer jsonData
    if isinstance(value, np.ndarray):
        return value
    if not isinstance(value, list):
        raise ServiceError(f"the model answered one {answer.kind}, which has no rows", code="ROW_COUNT")
    return value


def _numeric_lines(rows: np.ndarray[Any, Any]) -> bytes | None:
    """A table of numbers: written at once, then cut; None for anything else."""
    if rows.dtype.kind not in "fiub" or rows.ndim != 2 or rows.size == 0:
        return None
    text = encode(Payload(Kind.NDARRAY, rows))
    return text[1:-1].replace(b"],[", b"]\n[") + b"\n"


def _line(kind: Kind, row: Any) -> bytes:
    if kind in (Kind.NDARRAY, Kind.JSON_DATA, Kind.STR_DATA):
        if kind is Kind.STR_DATA and (text := _only_text(row)) is not None:
            return _one_line(text)
        value = row.tolist() if isinstance(row, np.ndarray) else row
        return encode(Payload(Kind.JSON_DATA, value))
    array = row if isinstance(row, np.ndarray) else convert(Payload(Kind.JSON_DATA, row), Kind.NDARRAY).array
    return encode_text(convert(Payload(Kind.NDARRAY, array), kind)).encode()


def _only_text(row: Any) -> str | None:
    cells = row.tolist() if isinstance(row, np.ndarray) else row
    while isinstance(cells, list) and len(cells) == 1:
        cells = cells[0]
    return cells if isinstance(cells, str) else None


def _one_line(text: str) -> bytes:
    if "\n" in text or "\r" in text:
        raise ConversionError("the answer is text of several lines; choose jsonData as the output", code="NOT_A_LINE")
    return text.encode()
