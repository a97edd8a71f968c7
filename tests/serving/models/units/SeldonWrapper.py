"""A model with every call of Seldon's inference graph, and with the ways a model goes wrong.

``sleep SECONDS`` takes so long, ``until FILE`` until there is such a file.
"""
# ruff: noqa: N803  (the argument names are those of Seldon's interface)

import time
from pathlib import Path

import numpy as np


def is_numeric(X):
    return isinstance(X, np.ndarray) and X.dtype.kind in "iuf"


class SeldonWrapper:
    def __init__(self):
        self.rewards = []

    def predict(self, X, features_names=None):
        if isinstance(X, str) and X == "boom":
            raise RuntimeError("the password is swordfish")
        if isinstance(X, str) and X.startswith("sleep "):
            time.sleep(float(X.split()[1]))
        if isinstance(X, str) and X.startswith("until "):
            ends = time.monotonic() + 60
            while not Path(X[6:]).exists() and time.monotonic() < ends:
                time.sleep(0.005)
        return X if isinstance(X, (np.ndarray, str, bytes)) else {"echo": X}

    def transform_input(self, X, features_names=None):
        return X * 2 if is_numeric(X) else X

    def transform_output(self, X, features_names=None):
        return X / 2 if is_numeric(X) else X

    def route(self, X, features_names=None):
        return int(X.reshape(-1)[0]) if is_numeric(X) and X.size and abs(X.reshape(-1)[0]) < 100 else -1

    def aggregate(self, Xs, features_names=None):
        same = all(is_numeric(X) and X.shape == Xs[0].shape for X in Xs)
        return np.sum(Xs, axis=0) if same else Xs[0]

    def send_feedback(self, features, feature_names, reward, truth, routing=None):
        self.rewards.append(reward)
        return [float(len(self.rewards))]
