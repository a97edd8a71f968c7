"""What is measured: models trained or made on the spot, the requests for each door and encoding, the right answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from onnx import TensorProto, helper, numpy_helper
from tests.peers.models import train_iris

from penstock.proto import Kind, Message, Payload, write_json_message, write_message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Array = np.ndarray[Any, np.dtype[Any]]

IMAGE = (299, 299, 3)
SEED = 20


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """One cell of the table: what each of ``callers`` asks again and again. Compared by identity.

    Attributes:
        name: of the work.
        door: ``grpc`` or ``rest``.
        encoding: the kind of the request.
        callers: requests in flight at a time.
        body: of one request.
        expected: what the model answers.
    """

    name: str
    door: str
    encoding: str
    callers: int
    body: bytes
    expected: Array

    @property
    def key(self) -> tuple[str, str, str]:
        """Tells it apart from all others."""
        return self.name, self.door, self.encoding


def iris(model: Path) -> Iterator[Work]:
    """The flowers: one row for 1 and for 64 callers, 256 rows for 16."""
    train_iris(model)
    rows = np.random.default_rng(SEED).uniform(0.1, 7.0, (256, 4)).round(1)
    for name, count, callers in (("1 row", 1, 1), ("1 row", 1, 64), ("256 rows", 256, 16)):
        for door, kind in (("grpc", Kind.TENSOR), ("grpc", Kind.NDARRAY), ("rest", Kind.NDARRAY)):
            # A single caller and a large table say little more in a second encoding of the same door.
            if callers == 64 or kind is Kind.TENSOR or door == "rest":
                value = rows[:count]
                yield _work(f"iris, {name}, {_callers(callers)}", door, kind, callers, value, value, model)


def image(model: Path) -> Iterator[Work]:
    """One image of 299x299x3 through a small convolution, as each kind that carries it, 2 callers."""
    _write_convolution(model)
    pixels = np.random.default_rng(SEED).random((1, *IMAGE), np.float32)
    for door in ("grpc", "rest"):
        for kind in (Kind.TENSOR, Kind.NDARRAY, Kind.BIN_DATA):
            value = pixels.tobytes() if kind is Kind.BIN_DATA else pixels.astype(np.float64)
            yield _work("image 299x299x3, 2 callers", door, kind, 2, value, pixels, model)


def _callers(number: int) -> str:
    return f"{number} caller{'s' * (number > 1)}"


def _work(name: str, door: str, kind: Kind, callers: int, value: Any, given: Array, model: Path) -> Work:
    message = Message(Payload(kind, value))
    body = write_message(message) if door == "grpc" else write_json_message(message)
    return Work(name, door, str(kind), callers, body, _answer(model, given))


def _answer(model: Path, given: Array) -> Array:
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {session.get_inputs()[0].name: given.astype(np.float32)})
    return np.asarray(answer)


def _write_convolution(path: Path) -> None:
    """Eight 3x3 filters with a stride of 4, their means, and ten outputs of those: little work on a large input."""
    random = np.random.default_rng(SEED)
    weights = {
        "filters": random.normal(0, 0.3, (8, 3, 3, 3)).astype(np.float32),
        "classes": random.normal(0, 1, (8, 10)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "filters"], ["found"], strides=[4, 4]),
        helper.make_node("Relu", ["found"], ["clear"]),
        helper.make_node("GlobalAveragePool", ["clear"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("MatMul", ["flat", "classes"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "image",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", *IMAGE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 10])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
