"""A payload as the content of a FlowFile, a Kafka record or an MQTT message, where the kind is known beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .arrays import NUMBER_WORDS, array_of, check_depth, check_list_shape, float64_of, is_number, nested_of, plain_array
from .base64text import decode_base64
from .errors import ConversionError, PayloadError
from .jsontext import dumps, finite, json_array, loads
from .limits import DEFAULT_LIMITS
from .numbertext import loads_numbers
from .payload import Kind, Payload
from .tensors import tensor_from_json, tensor_to_json
from .values import text_bytes

if TYPE_CHECKING:
    from .limits import Limits
    from .payload import Array, Json


def decode(
    kind: Kind | str, content: bytes | memoryview, *, limits: Limits = DEFAULT_LIMITS, base64_text: bool = False
) -> Payload:
    """Read the content form of a kind (see the table of `penstock.proto.payload`).

    Args:
        kind: one of the six.
        content: the bytes; arrays of a binary tftensor stay views of them.
        limits: what is refused.
        base64_text: whether binData comes as base64 text.

    Raises:
        PayloadError: the bytes are not of that kind. LimitError: too large, too many, too deep.
    """
    kind = kind_of(kind)
    limits.check_bytes(len(content))
    content = bytes(content)
    if kind is Kind.BIN_DATA:
        return Payload(kind, decode_base64(content) if base64_text else content)
    if kind is Kind.STR_DATA:
        return Payload(kind, _utf8(content))
    if kind is Kind.TFTENSOR and content[:1] != b"{":
        # Imported when there is one, here and below: a start should be short.
        from .tftensor import read_tftensor

        return Payload(kind, read_tftensor(content, 0, len(content), limits))
    parse = loads_numbers if kind in (Kind.NDARRAY, Kind.TENSOR) else loads
    return Payload(kind, value_from_json(kind, parse(content, limits), limits))


def value_from_json(kind: Kind, value: Json, limits: Limits) -> Json | Array:
    """The value of a jsonData, ndarray, tensor or tftensor payload from its parsed JSON form."""
    if kind is Kind.JSON_DATA:
        check_depth(value, limits)
        return value
    if kind is Kind.NDARRAY:
        return array_of(value, limits)
    if kind is Kind.TENSOR:
        return tensor_from_json(value, limits)
    from .tftensor_json import tftensor_from_json

    return tftensor_from_json(value, limits)


def encode(payload: Payload) -> bytes:
    """Write the content form of a payload; a tftensor is binary.

    Raises:
        ConversionError: the value has no exact form in JSON.
    """
    if payload.kind is Kind.BIN_DATA:
        return bytes(payload.value)
    if payload.kind is Kind.STR_DATA:
        return text_bytes(payload.value)
    if payload.kind is Kind.TFTENSOR:
        from .tftensor import write_tftensor

        return b"".join(write_tftensor(payload.array))
    return dumps(json_value(payload))


def encode_text(payload: Payload) -> str:
    """The content form as text: a tftensor in its JSON mapping, binData only where it is UTF-8."""
    if payload.kind is Kind.BIN_DATA:
        return _utf8(payload.value)
    if payload.kind is Kind.STR_DATA:
        return str(payload.value)
    return dumps(json_value(payload)).decode()


def json_value(payload: Payload) -> Json:
    """The JSON form of a jsonData or array payload, with arrays in it for `jsontext.dumps`."""
    if payload.kind is Kind.JSON_DATA:
        return finite(payload.value)
    if payload.kind is Kind.NDARRAY:
        return ndarray_to_json(payload.array)
    if payload.kind is Kind.TENSOR:
        return tensor_to_json(payload.array)
    from .tftensor_json import tftensor_to_json

    return tftensor_to_json(payload.array)


def ndarray_to_json(array: Array) -> Json:
    """An ndarray as nested lists, or as an array of a dtype that `jsontext.dumps` writes as such."""
    array = plain_array(array)
    check_list_shape(array.shape)
    if array.dtype == object:
        nested = nested_of(array)
        _refuse_words(array)
        return finite(nested)
    if array.dtype.kind in "biu" and array.dtype.isbuiltin == 1:
        return json_array(array)
    if is_number(array.dtype):
        return json_array(float64_of(array, "ndarray"))
    return finite(nested_of(array))


def _refuse_words(array: Array) -> None:
    """Text that would be read back as numbers (`arrays.array_of`) is refused, not changed."""
    flat = array.reshape(-1)
    if any(isinstance(x, str) for x in flat) and all(
        x in NUMBER_WORDS if isinstance(x, str) else type(x) in (int, float) for x in flat
    ):
        raise ConversionError(
            "the text of this array, such as 'NaN', would be read as numbers; use tftensor or jsonData",
            code="AMBIGUOUS_TEXT",
        )


def kind_of(name: Kind | str) -> Kind:
    """The kind of that name."""
    try:
        return Kind(name)
    except ValueError:
        known = ", ".join(Kind)
        raise PayloadError(f"{name!r:.40} is no payload kind; there are {known}", code="UNKNOWN_KIND") from None


def _utf8(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise PayloadError(f"the text is not UTF-8 (byte {error.start})", code="BAD_TEXT") from None
