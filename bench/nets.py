"""The three models of the benchmark, made from a seed: so small that the doors in front of them are what is seen."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from onnx import TensorProto, helper, numpy_helper
from tests.peers.models import train_iris

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from onnx import NodeProto

    Array = np.ndarray[Any, np.dtype[Any]]

IMAGE = (299, 299, 3)
SEED = 20
_LAYERS = (128, 512, 512, 10)


def write(name: str, path: Path) -> None:
    """The model ``name`` of ``MODELS`` as ONNX at ``path``: float32 in, float32 out, rows in the first dimension."""
    MODELS[name](path)


def rows(name: str, count: int) -> Array:
    """As many rows for the model, the same in each run: doubles, as callers have them."""
    random = np.random.default_rng(SEED)
    if name == "iris":
        return random.uniform(0.1, 7.0, (256, 4)).round(1)[:count]
    shape = (_LAYERS[0],) if name == "mlp" else IMAGE
    return random.random((count, *shape), np.float32).astype(np.float64)


def answer(path: Path, given: Array) -> Array:
    """What onnxruntime in this process makes of ``given``."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: given.astype(np.float32)})
    return np.asarray(found)


def names(path: Path) -> tuple[str, str]:
    """Of the input and the output."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.get_inputs()[0].name, session.get_outputs()[0].name


def _iris(path: Path) -> None:
    train_iris(path)


def _mlp(path: Path) -> None:
    """Three layers of 128, 512 and 512 inputs, 10 outputs."""
    random = np.random.default_rng(SEED)
    weights: dict[str, Array] = {}
    nodes: list[NodeProto] = []
    before = "features"
    for at, (wide, narrow) in enumerate(pairwise(_LAYERS)):
        weights[f"w{at}"] = random.normal(0, wide**-0.5, (wide, narrow)).astype(np.float32)
        weights[f"b{at}"] = random.normal(0, 0.1, narrow).astype(np.float32)
        nodes.append(helper.make_node("Gemm", [before, f"w{at}", f"b{at}"], [f"sum{at}"]))
        nodes.append(helper.make_node("Relu", [f"sum{at}"], [f"layer{at}"]))
        before = f"layer{at}"
    nodes[-1] = helper.make_node("Softmax", [f"sum{len(_LAYERS) - 2}"], ["probabilities"])
    _save(path, "mlp", nodes, "features", (_LAYERS[0],), weights)


def _convolution(path: Path) -> None:
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
    _save(path, "image", nodes, "image", IMAGE, weights)


def _save(
    path: Path,
    name: str,
    nodes: Sequence[NodeProto],
    given: str,
    shape: tuple[int, ...],
    weights: Mapping[str, Array],
) -> None:
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(given, TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 10])],
        [numpy_helper.from_array(array, key) for key, array in weights.items()],
    )
    # What the peers' older onnxruntime reads, too.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())


MODELS: Mapping[str, Callable[[Path], None]] = {"iris": _iris, "mlp": _mlp, "image": _convolution}
