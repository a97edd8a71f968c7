"""The model that both servers serve: iris over arrays, and a visible change to what comes in as another kind."""
# ruff: noqa: N803  (the argument names are part of the interface)

from pathlib import Path

import numpy as np
import onnxruntime


class SeldonWrapper:
    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = Path(__file__).with_name("iris.onnx")
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def predict(self, X, features_names=None, meta=None):
        if isinstance(X, bytes):
            return X[::-1]
        if isinstance(X, str):
            return X.upper()
        if isinstance(X, dict):
            return {"got": X, "keys": sorted(X)}
        return self.session.run(None, {self.input: np.asarray(X).astype(np.float32)})[0]

    def transform_input(self, X, features_names=None, meta=None):
        return np.asarray(X) * 2.0

    def transform_output(self, X, features_names=None, meta=None):
        return np.asarray(X) + 1.0

    def route(self, X, features_names=None):
        return 1 if np.asarray(X).sum() > 0 else 0

    def aggregate(self, Xs, features_names=None):
        return np.mean(np.stack([np.asarray(X) for X in Xs]), axis=0)

    def send_feedback(self, features, feature_names, reward, truth, routing=None):
        return [float(reward)]

    def class_names(self):
        return ["setosa", "versicolor", "virginica"]

    def tags(self):
        return {"model": "iris", "version": 1}

    def metrics(self):
        return [
            {"type": "COUNTER", "key": "rows", "value": 1},
            {"type": "GAUGE", "key": "load", "value": 0.5},
            {"type": "TIMER", "key": "spent", "value": 20.25},
        ]

    def init_metadata(self):
        return {"name": "iris", "versions": ["v1"], "platform": "onnx", "inputs": [], "outputs": []}
