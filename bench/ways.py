"""How a question is put: for each protocol and encoding path, headers and bytes, and how to read a reply."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson

from penstock.proto import Kind, Message, Payload, read_json_message, read_message, write_json_message, write_message
from penstock.proto import open_inference_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Array = np.ndarray[Any, np.dtype[Any]]

MODEL = "model"  # what every server calls it
_SELDON = "/seldon.protos.Seldon/Predict", "/api/v1.0/predictions"
_INFER = "/inference.GRPCInferenceService/ModelInfer", f"/v2/models/{MODEL}/infer"
_HEADER_LENGTH = "Inference-Header-Content-Length"
_JSON = {"Content-Type": "application/json"}
_BINARY = {"Content-Type": "application/octet-stream"}


class Way(NamedTuple):
    """One way through a door.

    Attributes:
        door: ``grpc`` or ``rest``.
        protocol: ``seldon``, ``v1``, ``v2`` (Open Inference Protocol) or ``own``.
        encoding: of the numbers.
    """

    door: str
    protocol: str
    encoding: str

    def __str__(self) -> str:
        return " ".join(self)


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is sent again and again.

    Attributes:
        path: of the URL, or the name of the gRPC method.
        body: of one request, without the five bytes of a gRPC frame.
        read: gives the array of a reply, which has these headers.
        headers: of HTTP.
    """

    path: str
    body: bytes
    read: Callable[[bytes, Mapping[str, str]], Array]
    headers: Mapping[str, str] = field(default_factory=dict)


def question(way: Way, rows: Array, names: tuple[str, str]) -> Question:
    """``rows`` put in this way, for a model whose input and output have these names."""
    if way.protocol == "seldon":
        return _seldon(way, rows)
    if way.protocol == "v2":
        return _over_grpc(way, rows, names[0]) if way.door == "grpc" else _over_rest(way, rows, names)
    return _other(way, rows)


def _seldon(way: Way, rows: Array) -> Question:
    kind = Kind(way.encoding)
    value = _floats(rows) if kind is Kind.BIN_DATA else rows
    message = Message(Payload(kind, value))
    if way.door == "grpc":
        return Question(_SELDON[0], write_message(message), lambda reply, _: _payload(read_message(reply)))
    return Question(_SELDON[1], write_json_message(message), lambda reply, _: _payload(read_json_message(reply)), _JSON)


def _floats(rows: Array) -> bytes:
    return rows.astype(np.float32).tobytes()


def _payload(message: Message) -> Array:
    assert message.payload is not None, f"an answer without data: {message}"
    return message.payload.array


def _over_grpc(way: Way, rows: Array, name: str) -> Question:
    request = pb.ModelInferRequest(model_name=MODEL)
    tensor = request.inputs.add(name=name, datatype="FP32", shape=rows.shape)
    if way.encoding == "raw":
        request.raw_input_contents.append(_floats(rows))
    else:
        tensor.contents.fp32_contents.extend(rows.ravel().tolist())
    return Question(_INFER[0], request.SerializeToString(), lambda reply, _: _tensor(reply))


def _tensor(reply: bytes) -> Array:
    response = pb.ModelInferResponse.FromString(reply)
    output = response.outputs[0]
    if response.raw_output_contents:
        found = np.frombuffer(response.raw_output_contents[0], np.float32)
    else:
        found = np.array(output.contents.fp32_contents, np.float32)
    return found.reshape(output.shape)


def _over_rest(way: Way, rows: Array, names: tuple[str, str]) -> Question:
    tensor: dict[str, Any] = {"name": names[0], "datatype": "FP32", "shape": rows.shape}
    if way.encoding == "json":
        body = orjson.dumps({"inputs": [tensor | {"data": rows.ravel()}]}, option=orjson.OPT_SERIALIZE_NUMPY)
        return Question(_INFER[1], body, _json_tensor, _JSON)
    data = _floats(rows)
    head = json.dumps(
        {
            "inputs": [tensor | {"parameters": {"binary_data_size": len(data)}}],
            "outputs": [{"name": names[1], "parameters": {"binary_data": True}}],
        }
    ).encode()
    return Question(_INFER[1], head + data, _binary_tensor, _BINARY | {_HEADER_LENGTH: str(len(head))})


def _json_tensor(reply: bytes, _: Mapping[str, str]) -> Array:
    output = orjson.loads(reply)["outputs"][0]
    return np.asarray(output["data"], np.float32).reshape(output["shape"])


def _binary_tensor(reply: bytes, headers: Mapping[str, str]) -> Array:
    end = int(headers[_HEADER_LENGTH])
    output = orjson.loads(reply[:end])["outputs"][0]
    return np.frombuffer(reply[end:], np.float32).reshape(output["shape"])


def _other(way: Way, rows: Array) -> Question:
    """KServe's first protocol, and what the frameworks without one were made to take in ``bench/peers``."""
    if way.protocol == "v1":
        body = orjson.dumps({"instances": rows}, option=orjson.OPT_SERIALIZE_NUMPY)
        return Question(f"/v1/models/{MODEL}:predict", body, lambda reply, _: _plain(reply), _JSON)
    if way.encoding == "binary":
        return Question("/predict", _floats(rows), lambda reply, _: np.frombuffer(reply, np.float32), _BINARY)
    body = orjson.dumps({"rows": rows}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Question("/predict", body, lambda reply, _: _plain(reply), _JSON)


def _plain(reply: bytes) -> Array:
    found = orjson.loads(reply)
    return np.asarray(found["predictions"] if isinstance(found, dict) else found, np.float32)
