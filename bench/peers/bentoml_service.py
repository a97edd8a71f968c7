"""The ONNX file of ``$MODEL`` as a BentoML service: arrays as JSON, and float32 bytes as they are."""

from __future__ import annotations

import os

import bentoml  # type: ignore[import-not-found]  # only in its own environment
import numpy as np
import onnxruntime


@bentoml.service(workers=1, threads=1, traffic={"timeout": 120}, metrics={"enabled": False})  # type: ignore[untyped-decorator]
class Onnx:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0]

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, rows: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return np.asarray(self.session.run(None, {self.input.name: rows.astype(np.float32)})[0])
