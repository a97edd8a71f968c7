"""TensorFlow's ``TensorProto`` in wire bytes, to and from numpy, without TensorFlow.

The values are either in ``tensor_content``, little-endian bytes that are viewed and not copied, or in the typed
list of their dtype (``float_val``, ``int_val``, …). A typed list shorter than the shape repeats its last value
(TensorFlow's ``make_ndarray``); one single value is a broadcast view and takes no memory of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import PayloadError
from .tensor_types import TYPES, content_of, of_content, of_values, tf_values, type_name, typed
from .wire import LENGTH, VARINT, Chunk, Field, length_field, scan, signed, varint

if TYPE_CHECKING:
    from .limits import Limits
    from .payload import Array


def read_tftensor(data: bytes, start: int, stop: int, limits: Limits) -> Array:
    """Read a ``TensorProto``: a read-only view of ``data`` where the values are in ``tensor_content``."""
    dtype, shape, content = 0, [], None
    for field in scan(data, start, stop):
        match field.number, field.wire_type:
            case 1, 0:
                dtype = signed(field.value, 32)
            case 2, 2:
                shape += _read_shape(data, field, limits)
            case 4, 2:
                content = field
    name = type_name(dtype)
    count = limits.check_shape(shape)
    if content is not None and content.stop > content.start:
        return of_content(data, content.start, content.stop, TYPES[name], shape, count)
    values = _typed_list(data[start:stop], TYPES[name].values)
    return of_values(typed(values, TYPES[name]), name, shape, count)


def _typed_list(data: bytes, name: str) -> Any:
    # Imported when a tftensor comes in this form: a start should be short.
    from google.protobuf.message import DecodeError

    from .tensor_pb2 import TensorProto

    try:
        return getattr(TensorProto.FromString(data), name)
    except DecodeError:
        raise PayloadError("the tftensor is no TensorProto", code="BAD_WIRE") from None


def _read_shape(data: bytes, shape: Field, limits: Limits) -> list[int]:
    sizes: list[int] = []
    for field in scan(data, shape.start, shape.stop):
        if field.number == 2 and field.wire_type == LENGTH:
            size = 0
            for part in scan(data, field.start, field.stop):
                if part.number == 1 and part.wire_type == VARINT:
                    size = signed(part.value, 64)
            sizes.append(size)
            limits.check_shape(sizes[-1:] if len(sizes) <= limits.dimensions else sizes)
        elif field.number == 3 and field.value:
            raise PayloadError("the tftensor has an unknown rank", code="UNKNOWN_RANK")
    return sizes


def write_tftensor(array: Array) -> list[Chunk]:
    """Write a ``TensorProto``, in chunks; numbers as ``tensor_content``, text as ``string_val``.

    Raises:
        ConversionError: the elements are neither numbers of one dtype nor text.
    """
    name, values = tf_values(array)
    dims = b"".join(b"\x12" + varint(len(size)) + size for size in map(_dim, values.shape))
    chunks: list[Chunk] = [b"\x08" + varint(TYPES[name].number), b"\x12" + varint(len(dims)) + dims]
    if values.dtype == object:
        chunks += [b"\x42" + varint(len(item)) + item for item in values.reshape(-1)]
    elif values.size:
        chunks += length_field(4, [content_of(values)])
    return chunks


def _dim(size: int) -> bytes:
    # A dimension of 0 is an empty message: proto3 leaves a zero out.
    return b"\x08" + varint(size) if size else b""
