"""What seldon-core serves in the benchmark: the ONNX file beside it, over arrays or the bytes of a float32 array."""
# ruff: noqa: N803, N806  (the argument names are part of the interface)

from pathlib import Path

import numpy as np
import onnxruntime


class SeldonWrapper:
    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = Path(__file__).with_name("model.onnx")
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        (self.input,) = self.session.get_inputs()

    def predict(self, X, features_names=None):
        if isinstance(X, bytes):
            X = np.frombuffer(X, np.float32).reshape(1, *self.input.shape[1:])
        return self.session.run(None, {self.input.name: np.asarray(X, np.float32)})[0]
