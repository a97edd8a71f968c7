"""JSON bodies: any bytes are read or refused by name, the quick ways read what the plain way reads, and what was read
is the same after a round trip.

The first byte chooses the reader; for requests with binary data the second is the length of their JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from tests.fuzz.equality import equal

from penstock.proto import (
    ConversionError,
    Limits,
    PayloadError,
    feedback_from_json,
    message_from_json,
    message_list_from_json,
    read_json_feedback,
    read_json_message,
    read_json_message_list,
    write_json_message,
)
from penstock.proto.inference import read_infer_json, write_infer_json
from penstock.proto.jsontable import read_table

if TYPE_CHECKING:
    from collections.abc import Callable

_LIMITS = Limits(message_bytes=1 << 16, elements=20_000, nesting=20, meta_bytes=1 << 12)


def run(data: bytes) -> None:
    try:
        _READERS[data[0] % len(_READERS) if data else 0](bytes(data[1:]))
    except (PayloadError, ConversionError) as error:
        assert error.message
        assert error.code.isupper()


def _outcome(read: Callable[[Any, Limits], Any], data: Any) -> tuple[str, Any]:
    try:
        return "read", read(data, _LIMITS)
    except (PayloadError, ConversionError) as error:
        return error.code, None


def _agreeing(quick: Callable[[bytes, Limits], Any], plain: Callable[[Any, Limits], Any], data: bytes) -> Any:
    """What ``quick`` reads of the text; ``plain`` reads the same of what orjson makes of it."""
    code, read = _outcome(quick, data)
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        assert code != "read", data
        return None
    other_code, other = _outcome(plain, value)
    if "TOO_MANY" not in code:  # counted before anything is parsed, so also where another error would follow
        assert (code, True) == (other_code, equal(read, other)), (code, read, other_code, other)
    return read


def _message(data: bytes) -> None:
    table = read_table(data, _LIMITS)
    read = _agreeing(read_json_message, message_from_json, data)
    if table is not None:
        assert read is not None
        assert (read.payload.kind, read.meta.puid) == (table.kind, table.puid)
        assert (read.payload.array == table.numbers).all()
    if read is not None:
        written = write_json_message(read)
        # Not `equal`: the smallest arrays may be read as another dtype than they were written from.
        assert write_json_message(read_json_message(written)) == written, read


def _list(data: bytes) -> None:
    _agreeing(read_json_message_list, message_list_from_json, data)


def _feedback(data: bytes) -> None:
    _agreeing(read_json_feedback, feedback_from_json, data)


def _infer(data: bytes) -> None:
    asked = read_infer_json(data, None, _LIMITS)
    write_infer_json(asked.inputs, asked, model_name="m", model_version="")


def _binary(data: bytes) -> None:
    size = data[0] if data else 0
    asked = read_infer_json(data[1:], size, _LIMITS)
    assert sum(tensor.array.size for tensor in asked.inputs) <= _LIMITS.elements * max(1, len(asked.inputs))
    write_infer_json(asked.inputs, asked, model_name="m", model_version="")


_READERS: tuple[Callable[[bytes], None], ...] = (_message, _list, _feedback, _infer, _binary)
