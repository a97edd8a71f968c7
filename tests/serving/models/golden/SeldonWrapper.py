"""The model that answered the golden requests: softmax regression on iris, and an echo for all that is no number."""
# ruff: noqa: N803, N806  (the argument names are those of Seldon's interface)

import numpy as np

# Of a regression on scikit-learn's iris, moved by less than 2 % so that it gives the golden probabilities: the
# model file of the recording is not kept.
WEIGHTS = np.array(
    [
        [-0.423464, 0.967447, -2.518592, -1.083552],
        [0.534284, -0.321084, -0.205209, -0.942201],
        [-0.110819, -0.646363, 2.723801, 2.025753],
    ]
)
BIAS = np.array([9.855629, 2.233978, -12.089607])


class SeldonWrapper:
    def predict(self, X, features_names=None, meta=None):
        if isinstance(X, (bytes, bytearray)):
            return bytes(X)[::-1]
        if isinstance(X, str):
            return X.upper()
        if isinstance(X, (dict, list)):
            return {"echo": X, "type": type(X).__name__}
        X = np.asarray(X)
        if X.dtype.kind in "OSU":
            return X
        if X.ndim != 2 or X.shape[1] != 4:
            raise ValueError(f"iris has rows of 4 numbers, not the shape {X.shape}")
        scores = X.astype(np.float32) @ WEIGHTS.T + BIAS
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)

    def class_names(self):
        return ["setosa", "versicolor", "virginica"]

    def tags(self):
        return {"model": "iris", "v": 1}

    def metrics(self):
        return [
            {"type": "COUNTER", "key": "rows_total", "value": 1},
            {"type": "GAUGE", "key": "last_p", "value": 0.5},
            {"type": "TIMER", "key": "t_ms", "value": 20.2},
        ]

    def health_status(self):
        return self.predict(np.array([[5.1, 3.5, 1.4, 0.2]]), None)

    def init_metadata(self):
        return {
            "name": "iris",
            "versions": ["v1"],
            "platform": "onnx",
            "inputs": [{"messagetype": "tensor", "schema": {"names": ["a", "b", "c", "d"], "shape": [4]}}],
            "outputs": [{"messagetype": "tensor", "schema": {"shape": [3]}}],
        }

    def send_feedback(self, features, feature_names, reward, truth, routing=None):
        return []
