"""The Open Inference Protocol over gRPC: ``ModelInferRequest`` and ``ModelInferResponse`` bytes.

Tensors come as raw bytes beside the inputs or as typed lists inside them, never both. Raw bytes are viewed where
they were received; answers are always raw.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf.message import DecodeError

from penstock.proto.errors import LimitError, PayloadError
from penstock.proto.open_inference_pb2 import ModelInferRequest, ModelInferResponse
from penstock.proto.wire import LENGTH, length_field, scan

from .datatypes import BYTES, check_shape, datatype_of, dtype_of, pack, unpack
from .tensors import InferRequest, RequestedOutput, Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from penstock.proto.limits import Limits
    from penstock.proto.payload import Array

_RAW_INPUT = 7
_RAW_OUTPUT = 6
# Below this size copying the raw bytes costs less than looking for them.
_SCAN_FROM = 32 * 1024
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
    head, raw = _split(data)
    request = ModelInferRequest()
    try:
        request.ParseFromString(head)
    except DecodeError:
        raise PayloadError("the bytes are not a ModelInferRequest", code="BAD_WIRE") from None
    raw = raw or list(request.raw_input_contents)
    return InferRequest(
        inputs=tuple(_inputs(request.inputs, raw, limits)),
        outputs=tuple(RequestedOutput(output.name) for output in request.outputs),
        id=request.id,
        model_name=request.model_name,
        model_version=request.model_version,
        parameters=_parameters(request.parameters),
    )


def _split(data: bytes) -> tuple[bytes, list[memoryview | bytes]]:
    """A large message as its head, to be parsed, and views of its raw contents."""
    if len(data) < _SCAN_FROM:
        return data, []
    view, head, raw = memoryview(data), [], []
    begin = 0
    for count, field in enumerate(scan(data, 0, len(data))):
        if count >= _MOST_FIELDS:
            raise LimitError(f"the request has more than {_MOST_FIELDS:,} fields", code="TOO_MANY_FIELDS")
        if field.number == _RAW_INPUT and field.wire_type == LENGTH:
            raw.append(view[field.start : field.stop])
        else:
            head.append(view[begin : field.stop])
        begin = field.stop
    return b"".join(head), list(raw)


def _inputs(inputs: Sequence[Any], raw: Sequence[bytes | memoryview], limits: Limits) -> Iterable[Tensor]:
    if raw and len(raw) != len(inputs):
        raise PayloadError(
            f"the request has {len(inputs)} inputs but {len(raw)} raw_input_contents", code="RAW_COUNT_MISMATCH"
        )
    for index, tensor in enumerate(inputs):
        where = f"input {tensor.name!r:.80}"
        if not raw:
            yield Tensor(tensor.name, _typed(tensor, where, limits))
        elif tensor.HasField("contents"):
            raise PayloadError(f"{where} has contents and raw_input_contents; send one of them", code="TWO_CONTENTS")
        else:
            yield Tensor(tensor.name, unpack(raw[index], tensor.datatype, tuple(tensor.shape), where, limits))


def _typed(tensor: Any, where: str, limits: Limits) -> Array:
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
    return _narrowed(np.array(values, None if dtype.itemsize < 4 else dtype), dtype, where).reshape(tensor.shape)


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
    response = ModelInferResponse(model_name=model_name, model_version=model_version, id=request_id)
    for output in outputs:
        response.outputs.add(
            name=output.name,
            datatype=datatype_of(output.array, f"output {output.name!r}"),
            shape=output.array.shape,
        )
    raw = chain.from_iterable(length_field(_RAW_OUTPUT, [pack(output.array)]) for output in outputs)
    return b"".join([response.SerializeToString(), *raw])
