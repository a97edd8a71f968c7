"""The ONNX file in MLServer, as its users write a runtime: arrays in, arrays out."""

from __future__ import annotations

import numpy as np
import onnxruntime
from mlserver import MLModel  # type: ignore[import-not-found]  # only in its own environment
from mlserver.codecs import NumpyCodec  # type: ignore[import-not-found]
from mlserver.types import InferenceRequest, InferenceResponse  # type: ignore[import-not-found]


class OnnxRuntime(MLModel):
    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = self.settings.parameters.uri
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.output = self.session.get_outputs()[0].name
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32, copy=False)
        (answer,) = self.session.run(None, {self.input: rows})
        output = NumpyCodec.encode_output(self.output, answer)
        return InferenceResponse(model_name=self.name, outputs=[output])
