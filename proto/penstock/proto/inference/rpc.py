"""The Open Inference Protocol over gRPC: ``ModelInferRequest`` and ``ModelInferResponse`` bytes.

Tensors come as raw bytes beside the inputs or as typed lists inside them, never both. Raw bytes are viewed where
they were received; answers are always raw. All that is not raw bytes is the same in most requests of a caller, and in
all answers of a model to questions of one shape, so it is parsed, and written, once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from penstock.proto.errors import LimitError, PayloadError
from penstock.proto.values import text_bytes
from penstock.proto.wire import LENGTH, length_field, scan, varint

from .datatypes import BYTES, check_shape, datatype_of, dtype_of, pack, unpack
from .tensors import InferRequest, RequestedOutput, Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.proto.limits import Limits
    from penstock.proto.open_inference_pb2 import ModelInferRequest
    from penstock.proto.payload import Array
    from penstock.proto.wire import Chunk

_RAW_INPUT = 7
_RAW_OUTPUT = 6
# Heads that are remembered have at most so many bytes.
_LONGEST_HEAD = 1024
# Models have a few inputs; an empty one is two bytes on the wire and a hundred in memory.
_MOST_FIELDS = 4096

_CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}


def read_infer_request(data: bytes, limits: Limits) -> InferRequest:
    """Read a ``ModelInferRequest``.

    Raises:
        PayloadError: no protobuf, or a tensor whose datatype, shape and contents do not go together. LimitError.
    """
    limits.check_bytes(len(data))
    encoded, raw = _split(data)
    if raw and len(encoded) <= _LONGEST_HEAD:
        head = _known_head(encoded)
        tensors = _raw_inputs(head.inputs, raw, limits)
    else:
        request = _parse(encoded)
        head = _head(request)
        tensors = _raw_inputs(head.inputs, raw, limits) if raw else [_typed(one, limits) for one in request.inputs]
    return InferRequest(tuple(tensors), head.outputs, head.id, head.model_name, head.model_version, head.parameters)


class _Input(NamedTuple):
    name: str
    datatype: str
    shape: tuple[int, ...]
    has_contents: bool


class _Head(NamedTuple):
    """A request but for its numbers."""

    inputs: tuple[_Input, ...]
    outputs: tuple[RequestedOutput, ...]
    id: str
    model_name: str
    model_version: str
    parameters: dict[str, Any]


def _parse(encoded: bytes) -> ModelInferRequest:
    # Imported with the first request: a start should be short.
    from google.protobuf.message import DecodeError

    from penstock.proto.open_inference_pb2 import ModelInferRequest

    try:
        return ModelInferRequest.FromString(encoded)
    except DecodeError:
        raise PayloadError("the bytes are not a ModelInferRequest", code="BAD_WIRE") from None


def _head(request: ModelInferRequest) -> _Head:
    return _Head(
        tuple(_Input(one.name, one.datatype, tuple(one.shape), one.HasField("contents")) for one in request.inputs),
        tuple(RequestedOutput(output.name) for output in request.outputs),
        request.id,
        request.model_name,
        request.model_version,
        _parameters(request.parameters),
    )


@lru_cache(64)
def _known_head(encoded: bytes) -> _Head:
    return _head(_parse(encoded))


def _split(data: bytes) -> tuple[bytes, list[memoryview]]:
    """The message without its raw contents, and views of these."""
    view, head, raw = memoryview(data), list[memoryview](), list[memoryview]()
    begin = at = 0
    for count, field in enumerate(scan(data, 0, len(data))):
        if count >= _MOST_FIELDS:
            raise LimitError(f"the request has more than {_MOST_FIELDS:,} fields", code="TOO_MANY_FIELDS")
        if field.number == _RAW_INPUT and field.wire_type == LENGTH:
            raw.append(view[field.start : field.stop])
            head.append(view[begin:at])
            begin = field.stop
        at = field.stop
    if not raw:
        return data, raw
    head.append(view[begin:])
    return b"".join(head), raw


def _raw_inputs(inputs: Sequence[_Input], raw: Sequence[memoryview], limits: Limits) -> list[Tensor]:
    if len(raw) != len(inputs):
        raise PayloadError(
            f"the request has {len(inputs)} inputs but {len(raw)} raw_input_contents", code="RAW_COUNT_MISMATCH"
        )
    tensors = []
    for one, contents in zip(inputs, raw, strict=True):
        where = f"input {one.name!r:.80}"
        if one.has_contents:
            raise PayloadError(f"{where} has contents and raw_input_contents; send one of them", code="TWO_CONTENTS")
        tensors.append(Tensor(one.name, unpack(contents, one.datatype, one.shape, where, limits)))
    return tensors


def _typed(tensor: Any, limits: Limits) -> Tensor:
    where = f"input {tensor.name!r:.80}"
    dtype = dtype_of(tensor.datatype, where)
    count = check_shape(tensor.shape, where, limits)
    if tensor.datatype not in _CONTENTS:
        raise PayloadError(f"{where}: {tensor.datatype} travels in raw_input_contents only", code="RAW_ONLY")
    values = getattr(tensor.contents, _CONTENTS[tensor.datatype])
    if len(values) != count:
        raise PayloadError(
            f"{where} has shape {list(tensor.shape)}, so {count:,} values in {_CONTENTS[tensor.datatype]}, "
            f"but {len(values):,} came",
            code="TENSOR_SHAPE_MISMATCH",
        )
    array = _narrowed(np.array(values, None if dtype.itemsize < 4 else dtype), dtype, where)
    return Tensor(tensor.name, array.reshape(tensor.shape))


def _narrowed(values: Array, dtype: np.dtype[Any], where: str) -> Array:
    """``values`` as ``dtype``; the 8- and 16-bit integers travel as 32 bits and may not fit."""
    if values.size and dtype.itemsize < 4 and dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        if values.min() < bounds.min or values.max() > bounds.max:
            raise PayloadError(f"{where} has a value outside {dtype}", code="OUT_OF_RANGE")
    return values.astype(dtype, copy=False)


def _parameters(parameters: Any) -> dict[str, Any]:
    return {
        name: getattr(value, choice)
        for name, value in parameters.items()
        if (choice := value.WhichOneof("parameter_choice"))
    }


def write_infer_response(outputs: Sequence[Tensor], *, model_name: str, model_version: str, request_id: str) -> bytes:
    """Write a ``ModelInferResponse`` with raw contents.

    Raises:
        ConversionError: an output has a dtype that the protocol does not know.
    """
    head = [_text(1, model_name), _text(2, model_version), _text(3, request_id)]
    raw: list[Chunk] = []
    for output in outputs:
        array = output.array
        head.append(_described(output.name, datatype_of(array, f"output {output.name!r}"), array.shape))
        raw += length_field(_RAW_OUTPUT, [pack(array)])
    return b"".join([*head, *raw])


def _text(number: int, text: str) -> bytes:
    encoded = text_bytes(text)
    return b"".join((varint(number << 3 | LENGTH), varint(len(encoded)), encoded)) if encoded else b""


@lru_cache(256)
def _described(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    """An output without its numbers: ``InferOutputTensor`` 1 name, 2 datatype, 3 shape."""
    sizes = b"".join(map(varint, shape))
    shape_field = length_field(3, [sizes]) if sizes else []
    return b"".join(length_field(5, [_text(1, name), _text(2, datatype), *shape_field]))
