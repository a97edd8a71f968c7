"""The datatypes of the Open Inference Protocol as numpy dtypes, and their raw bytes.

Raw bytes are little-endian and row-major; BOOL is one byte each, BYTES is each element's size as a 4-byte
little-endian number and then the element.
"""

from __future__ import annotations

from functools import cache
from struct import Struct
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.proto.errors import ConversionError, PayloadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.proto.limits import Limits
    from penstock.proto.payload import Array

BYTES = "BYTES"

_SIZE = Struct("<I")
# Bytes up to which a copy costs less than a view.
_SMALL = 1 << 14


@cache
def dtypes() -> dict[str, np.dtype[Any]]:
    """The numpy dtype of each datatype."""
    import ml_dtypes  # Imported with the first tensor: a start should be short.

    return {
        "BOOL": np.dtype(np.bool_),
        "UINT8": np.dtype(np.uint8),
        "UINT16": np.dtype("<u2"),
        "UINT32": np.dtype("<u4"),
        "UINT64": np.dtype("<u8"),
        "INT8": np.dtype(np.int8),
        "INT16": np.dtype("<i2"),
        "INT32": np.dtype("<i4"),
        "INT64": np.dtype("<i8"),
        "FP16": np.dtype("<f2"),
        "BF16": np.dtype(ml_dtypes.bfloat16),
        "FP32": np.dtype("<f4"),
        "FP64": np.dtype("<f8"),
        BYTES: np.dtype(object),
    }


@cache
def _datatypes() -> dict[np.dtype[Any], str]:
    return {dtype: datatype for datatype, dtype in dtypes().items()}


def dtype_of(datatype: str, where: str) -> np.dtype[Any]:
    """The numpy dtype of ``datatype``; ``where`` names the tensor in the error."""
    try:
        return dtypes()[datatype]
    except KeyError:
        known = ", ".join(dtypes())
        raise PayloadError(
            f"{where} has the unknown datatype {datatype[:40]!r}; known are {known}", code="UNKNOWN_DATATYPE"
        ) from None


def datatype_of(array: Array, where: str) -> str:
    """The protocol's name of an array's dtype; text is BYTES.

    Raises:
        ConversionError: complex numbers, dates and the like have none.
    """
    if array.dtype.kind in "OSU":
        return BYTES
    try:
        return _datatypes()[array.dtype.newbyteorder("<")]
    except KeyError:
        raise ConversionError(f"{where} has no Open Inference datatype for {array.dtype}", code="NO_DATATYPE") from None


def check_shape(shape: Sequence[int], where: str, limits: Limits) -> int:
    """The number of elements of ``shape``; the errors of `Limits.check_shape`, with the tensor's name."""
    try:
        return limits.check_shape(shape)
    except PayloadError as error:
        raise type(error)(f"{where}: {error.message}", code=error.code) from None


def unpack(raw: bytes | memoryview, datatype: str, shape: Sequence[int], where: str, limits: Limits) -> Array:
    """Read raw bytes: a read-only view of them, but for BYTES.

    Raises:
        PayloadError: unknown datatype, a negative dimension, or a size that is not the shape's. LimitError.
    """
    dtype = dtype_of(datatype, where)
    count = check_shape(shape, where, limits)
    if datatype == BYTES:
        return _unpack_bytes(raw, count, where).reshape(shape)
    if len(raw) != count * dtype.itemsize:
        raise PayloadError(
            f"{where} of shape {list(shape)} and datatype {datatype} takes {count * dtype.itemsize:,} bytes, "
            f"but {len(raw):,} came",
            code="TENSOR_SIZE_MISMATCH",
        )
    array = np.frombuffer(raw, dtype)
    if datatype == "BOOL" and count and array.view(np.uint8).max() > 1:
        raise PayloadError(f"{where} is BOOL, whose bytes are 0 or 1", code="BAD_BOOL")
    return array.reshape(shape)


def _unpack_bytes(raw: bytes | memoryview, count: int, where: str) -> Array:
    # Each element takes at least its size's four bytes: checked before a place is made for any of them.
    if len(raw) < count * _SIZE.size:
        raise _truncated(where, count)
    array = np.empty(count, object)
    view, at = memoryview(raw), 0
    for index in range(count):
        if at + _SIZE.size > len(view):
            raise _truncated(where, count)
        start = at + _SIZE.size
        at = start + _SIZE.unpack_from(view, at)[0]
        if at > len(view):
            raise _truncated(where, count)
        array[index] = bytes(view[start:at])
    if at != len(view):
        raise PayloadError(f"{where} has {len(view) - at:,} bytes behind its last element", code="TENSOR_SIZE_MISMATCH")
    return array


def _truncated(where: str, count: int) -> PayloadError:
    return PayloadError(
        f"{where} is cut off: it does not hold the {count:,} elements of its shape", code="TENSOR_SIZE_MISMATCH"
    )


def pack(array: Array) -> memoryview | bytes:
    """The raw bytes of an array; no copy of a large one that is contiguous already."""
    if array.dtype.kind in "OSU":
        parts: list[bytes] = []
        for element in byte_elements(array):
            parts += _SIZE.pack(len(element)), element
        return b"".join(parts)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    if array.nbytes <= _SMALL:
        return array.tobytes()
    little = np.ascontiguousarray(array)
    # Through uint8, because ml_dtypes' types offer no buffer of their own.
    return little.reshape(-1).view(np.uint8).data


def byte_elements(array: Array) -> list[bytes]:
    """The elements of a text or object array as bytes, in row-major order; text as UTF-8.

    Raises:
        ConversionError: an element is neither text nor bytes.
    """
    return [_element(element) for element in array.reshape(-1).tolist()]


def _element(element: object) -> bytes:
    if isinstance(element, bytes):
        return element
    if isinstance(element, str):
        return element.encode()
    raise ConversionError(f"BYTES holds text or bytes, not {type(element).__name__}", code="NOT_BYTES")
