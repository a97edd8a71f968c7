"""Models trained for a test on the spot, as ONNX that any onnxruntime of the last years reads."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SOURCE = Path(__file__).with_name("model")
# What onnxruntime 1.17 and all later ones read: the peers have older ones than we do.
_OPSET, _IR_VERSION = 17, 8
_ONNX_TYPES = {"FP16": "FLOAT16", "FP32": "FLOAT", "FP64": "DOUBLE", "BYTES": "STRING"}


def train_iris(path: Path) -> Path:
    """A logistic regression of the iris flowers at ``path``: float32 rows of 4 in, probabilities of 3 classes out."""
    import numpy as np
    from skl2onnx import to_onnx
    from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    rows, classes = load_iris(return_X_y=True)
    trained = LogisticRegression(max_iter=1000).fit(rows, classes)
    sample = rows[:1].astype(np.float32)
    graph = to_onnx(trained, sample, options={"zipmap": False}, target_opset=_OPSET)
    graph = select_model_inputs_outputs(graph, "probabilities")
    graph.ir_version = _IR_VERSION
    path.write_bytes(graph.SerializeToString())
    return path


def model_folder(folder: Path) -> Path:
    """A folder with the class ``SeldonWrapper`` and its iris.onnx, as each of the servers takes it."""
    shutil.copytree(_SOURCE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    train_iris(folder / "iris.onnx")
    return folder


def every_datatype(path: Path, names: Iterable[str]) -> Path:
    """A model at ``path`` with an input for each datatype of the Open Inference Protocol, handed on to ``NAME_out``."""
    from onnx import TensorProto, checker, helper

    inputs, outputs, nodes = [], [], []
    for name in names:
        element = getattr(TensorProto, _ONNX_TYPES.get(name, name))
        inputs.append(helper.make_tensor_value_info(name, element, ["n"]))
        outputs.append(helper.make_tensor_value_info(f"{name}_out", element, ["n"]))
        nodes.append(helper.make_node("Identity", [name], [f"{name}_out"]))
    graph = helper.make_graph(nodes, "every", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path
