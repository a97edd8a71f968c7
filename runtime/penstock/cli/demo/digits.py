"""The demo's data and model: scikit-learn's handwritten digits, and a classifier trained on them on the spot.

The images are real: 1,797 scans of 8×8 pixels, brightness 0 to 16 (UCI "Optical Recognition of Handwritten
Digits"), shipped inside scikit-learn. Two thirds train the model, the last third is what the demo sends.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SEED = 7


class Digits(NamedTuple):
    """Images that the model has not seen, float32 [n, 64], and the digit that each shows, int64 [n]."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]


def train(path: Path) -> Digits:
    """Train a small neural network, write it to ``path`` as ONNX, and return the images kept back.

    The model takes ``image`` float32 [n, 64] and gives ``digit`` int64 [n] and ``probability`` float32 [n, 10].
    """
    from skl2onnx import to_onnx
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    data = load_digits()
    x, unseen, y, labels = train_test_split(
        data.data.astype(np.float32), data.target, test_size=1 / 3, random_state=SEED, stratify=data.target
    )
    network = MLPClassifier((128,), learning_rate_init=0.003, max_iter=100, random_state=SEED)
    with warnings.catch_warnings():
        # 100 rounds are enough for the demo; that more would still gain a little is no news to the viewer.
        warnings.simplefilter("ignore")
        model = make_pipeline(MinMaxScaler(), network).fit(x, y)
    path.write_bytes(_named(to_onnx(model, x[:1], options={"zipmap": False})))
    return Digits(unseen, labels)


def _named(model: object) -> bytes:
    """The model with names that say what goes in and comes out; the converter's are X, label, probabilities."""
    rename = {"X": "image", "label": "digit", "probabilities": "probability"}
    graph = model.graph  # type: ignore[attr-defined]
    for value in (*graph.input, *graph.output):
        value.name = rename.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [rename.get(name, name) for name in node.input]
        node.output[:] = [rename.get(name, name) for name in node.output]
    encoded: bytes = model.SerializeToString()  # type: ignore[attr-defined]
    return encoded
