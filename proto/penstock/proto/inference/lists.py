"""Tensors as JSON lists: read as the datatype that they are said to have, and written flat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.proto.arrays import array_of
from penstock.proto.errors import ConversionError, PayloadError
from penstock.proto.jsontext import json_array

from .datatypes import BYTES, byte_elements, check_shape, dtype_of

if TYPE_CHECKING:
    from penstock.proto.limits import Limits
    from penstock.proto.payload import Array, Json

    from .tensors import Tensor


def array_from_list(data: Json, datatype: str, shape: list[int], where: str, limits: Limits) -> Array:
    """An array from a JSON list, flat or nested.

    Raises:
        PayloadError: not as many values as the shape holds, or one that is none of the datatype. LimitError.
    """
    dtype = dtype_of(datatype, where)
    count = check_shape(shape, where, limits)
    try:
        values = array_of(data, limits)
    except PayloadError as error:
        raise type(error)(f"{where}: {error.message}", code=error.code) from None
    if values.size != count:
        raise PayloadError(
            f"{where} of shape {shape} holds {count:,} values, but {values.size:,} came", code="TENSOR_SHAPE_MISMATCH"
        )
    if not count:
        return np.empty(shape, dtype)
    return _cast(values, datatype, dtype, where).reshape(shape)


def _cast(values: Array, datatype: str, dtype: np.dtype[Any], where: str) -> Array:
    """``values`` as ``datatype``; nothing changes silently but the rounding of decimal fractions."""
    if datatype == BYTES:
        return _texts(values, where)
    if datatype == "BOOL":
        fits = values.dtype == np.bool_ or (values.dtype.kind in "iu" and bool((values >> 1 == 0).all()))
    elif dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        fits = values.dtype.kind in "iu" and bool(values.min() >= bounds.min and values.max() <= bounds.max)
    else:
        fits = values.dtype.kind in "iuf"
    if not fits:
        raise PayloadError(f"{where} has a value that is no {datatype}", code="BAD_VALUE")
    with np.errstate(over="ignore"):
        cast = values.astype(dtype, copy=False)
    if dtype.kind not in "biu" and not np.array_equal(np.isinf(cast), np.isinf(values)):
        raise PayloadError(f"{where} has a number beyond the range of {datatype}", code="OUT_OF_RANGE")
    return cast


def _texts(values: Array, where: str) -> Array:
    flat = values.reshape(-1).tolist()
    if not all(type(item) is str for item in flat):
        raise PayloadError(f"{where} is BYTES, whose data in JSON are texts", code="BAD_VALUE")
    array = np.empty(len(flat), object)
    array[:] = [item.encode() for item in flat]
    return array


def list_from_array(output: Tensor) -> Json:
    """The flat list of a tensor, for `jsontext.dumps`; ConversionError where it holds bytes that are no text."""
    flat = output.array.reshape(-1)
    if flat.dtype.kind in "OSU":
        try:
            return [element.decode() for element in byte_elements(flat)]
        except UnicodeDecodeError:
            raise ConversionError(
                f"output {output.name!r} has bytes that are no UTF-8 text; ask for binary_data", code="BAD_TEXT"
            ) from None
    return json_array(flat if flat.dtype.kind in "biu" else flat.astype(np.float64))
