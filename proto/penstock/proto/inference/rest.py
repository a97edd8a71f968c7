"""The Open Inference Protocol over REST: JSON, with tensors inside it or, as binary, behind it.

The binary tensor data extension: the body is JSON and then the raw bytes of the tensors that have the parameter
``binary_data_size``, in order; a header tells where the JSON ends.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from penstock.proto.errors import PayloadError
from penstock.proto.jsontext import dumps
from penstock.proto.numbertext import loads_numbers

from .datatypes import datatype_of, pack, unpack
from .lists import array_from_list, list_from_array
from .tensors import InferRequest, RequestedOutput, Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.proto.limits import Limits
    from penstock.proto.payload import Json


# JSON parts with binary inputs behind them: a caller's are the same as long as its shapes are.
_known: dict[bytes, _Known] = {}
_MOST_KNOWN, _LONGEST_KNOWN = 256, 2048
# The same of answers all of whose outputs are binary, by what their JSON parts say.
_heads: dict[tuple[object, ...], bytes] = {}


def read_infer_json(body: bytes, json_size: int | None, limits: Limits) -> InferRequest:
    """Read the body of an infer request.

    Args:
        body: JSON, and the binary data behind it.
        json_size: of the JSON part; None where there is no binary data.
        limits: checked before anything is allocated.

    Raises:
        PayloadError: with the name of the input it is about. LimitError.
    """
    limits.check_bytes(len(body))
    size = len(body) if json_size is None else json_size
    if not 0 <= size <= len(body):
        raise PayloadError(f"the JSON part has {size:,} bytes, but the body {len(body):,}", code="BAD_BINARY_SIZE")
    if size == len(body) or size > _LONGEST_KNOWN:
        return _read(body, size, limits)
    known = _known.get(body[:size])
    if known is not None and known.size == len(body) - size and known.limits is limits:
        return known.on(body, size)
    request = _read(body, size, limits)
    _learn(body, size, limits, request)
    return request


def _read(body: bytes, size: int, limits: Limits) -> InferRequest:
    head = loads_numbers(body if size == len(body) else body[:size], limits)
    if not isinstance(head, dict):
        raise PayloadError('an infer request is a JSON object, {"inputs": […]}', code="BAD_INFER_REQUEST")
    parameters = _object(head.get("parameters"), "parameters of the request")
    return InferRequest(
        inputs=tuple(_Inputs(memoryview(body)[size:], limits).read(head.get("inputs"))),
        outputs=tuple(_output(entry) for entry in _objects(head.get("outputs", []), "outputs")),
        id=_text(head.get("id", ""), "id of the request"),
        parameters=parameters,
        binary_output=parameters.get("binary_data_output") is True,
    )


class _Known(NamedTuple):
    """A JSON part that came before, with all its inputs behind it as plain bytes.

    Attributes:
        request: what it says, but for the inputs.
        inputs: name, dtype, shape and place of each.
        size: bytes of all inputs.
        limits: that they were checked against.
    """

    request: InferRequest
    inputs: tuple[tuple[str, np.dtype[Any], tuple[int, ...], int], ...]
    size: int
    limits: Limits

    def on(self, body: bytes, offset: int) -> InferRequest:
        """The same request with other numbers."""
        tensors = [Tensor(name, np.ndarray(shape, dtype, body, offset + at)) for name, dtype, shape, at in self.inputs]
        said = self.request
        return InferRequest(
            tuple(tensors), said.outputs, said.id, parameters=said.parameters, binary_output=said.binary_output
        )


def _learn(body: bytes, size: int, limits: Limits, request: InferRequest) -> None:
    arrays = [tensor.array for tensor in request.inputs]
    # Together they are all that is behind the JSON: so none of them was inside it.
    if sum(array.nbytes for array in arrays) != len(body) - size:
        return
    if any(array.dtype.kind in "Ob" or not array.size for array in arrays):
        return
    inputs, at = [], 0
    for tensor in request.inputs:
        inputs.append((tensor.name, tensor.array.dtype, tensor.array.shape, at))
        at += tensor.array.nbytes
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[body[:size]] = _Known(replace(request, inputs=()), tuple(inputs), at, limits)


class _Inputs:
    """Reads the inputs in order, each binary one taking its bytes from the front of what is left."""

    def __init__(self, binary: memoryview, limits: Limits) -> None:
        self._binary = binary
        self._limits = limits

    def read(self, entries: Json) -> list[Tensor]:
        tensors = [self._tensor(entry) for entry in _objects(entries, "inputs")]
        if len(self._binary):
            raise PayloadError(f"{len(self._binary):,} bytes of binary data belong to no input", code="BAD_BINARY_SIZE")
        return tensors

    def _tensor(self, entry: dict[str, Json]) -> Tensor:
        name = _text(entry.get("name"), "name of an input")
        where = f"input {name!r:.80}"
        datatype = _text(entry.get("datatype"), f"datatype of {where}")
        shape = _shape(entry.get("shape"), where)
        size = _object(entry.get("parameters"), f"parameters of {where}").get("binary_data_size")
        if size is not None:
            return Tensor(name, unpack(self._take(size, where), datatype, shape, where, self._limits))
        if "data" not in entry:
            raise PayloadError(f"{where} has neither data nor binary_data_size", code="NO_DATA")
        return Tensor(name, array_from_list(entry["data"], datatype, shape, where, self._limits))

    def _take(self, size: Json, where: str) -> memoryview:
        if type(size) is not int or not 0 <= size <= len(self._binary):
            raise PayloadError(
                f"{where} has binary_data_size {size!r:.40}, but {len(self._binary):,} bytes are left",
                code="BAD_BINARY_SIZE",
            )
        taken, self._binary = self._binary[:size], self._binary[size:]
        return taken


def write_infer_json(
    outputs: Sequence[Tensor], request: InferRequest, *, model_name: str, model_version: str
) -> tuple[bytes, int | None]:
    """Write the body of an answer.

    Returns:
        The body, and the size of its JSON part where binary data follow it.

    Raises:
        ConversionError: an output has no datatype in the protocol, or holds bytes that are no text.
    """
    binary = {output.name: output.binary for output in request.outputs if output.binary is not None}
    if outputs and not request.id and all(binary.get(one.name, request.binary_output) for one in outputs):
        said = (model_name, model_version, *[(one.name, one.array.dtype, one.array.shape) for one in outputs])
        head = _heads.get(said)
        if head is not None:
            return b"".join([head, *[pack(output.array) for output in outputs]]), len(head)
        body, size = _written(outputs, request, binary, model_name, model_version)
        if size is not None and all(one.array.dtype.kind not in "OSU" for one in outputs):
            if len(_heads) >= _MOST_KNOWN:
                _heads.clear()
            _heads[said] = body[:size]
        return body, size
    return _written(outputs, request, binary, model_name, model_version)


def _written(
    outputs: Sequence[Tensor],
    request: InferRequest,
    binary: dict[str, bool],
    model_name: str,
    model_version: str,
) -> tuple[bytes, int | None]:
    entries, raw = [], []
    for output in outputs:
        entry: dict[str, Any] = {
            "name": output.name,
            "datatype": datatype_of(output.array, f"output {output.name!r}"),
            "shape": list(output.array.shape),
        }
        if binary.get(output.name, request.binary_output):
            raw.append(pack(output.array))
            entry["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            entry["data"] = list_from_array(output)
        entries.append(entry)
    head: dict[str, Any] = {"model_name": model_name, "outputs": entries}
    if model_version:
        head["model_version"] = model_version
    if request.id:
        head["id"] = request.id
    text = dumps(head)
    return (b"".join([text, *raw]), len(text)) if raw else (text, None)


def _output(entry: dict[str, Json]) -> RequestedOutput:
    name = _text(entry.get("name"), "name of an output")
    parameters = _object(entry.get("parameters"), f"parameters of output {name!r:.80}")
    if "classification" in parameters:
        raise PayloadError(f"output {name!r:.80}: classification is not offered", code="NOT_OFFERED")
    binary = parameters.get("binary_data")
    return RequestedOutput(name, binary if isinstance(binary, bool) else None)


def _shape(shape: Json, where: str) -> list[int]:
    if not isinstance(shape, list) or not all(type(size) is int for size in shape):
        raise PayloadError(f"the shape of {where} is not a list of whole numbers", code="BAD_SHAPE")
    return shape


def _objects(entries: Json, what: str) -> list[dict[str, Json]]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise PayloadError(f"{what} is not a list of objects", code="BAD_INFER_REQUEST")
    return entries


def _object(value: Json, what: str) -> dict[str, Json]:
    if not isinstance(value, dict | None):
        raise PayloadError(f"the {what} are not an object", code="BAD_INFER_REQUEST")
    return value or {}


def _text(value: Json, what: str) -> str:
    if not isinstance(value, str):
        raise PayloadError(f"the {what} is missing or not a text", code="BAD_INFER_REQUEST")
    return value
