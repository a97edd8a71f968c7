"""The ONNX file in KServe's Python server: ``python kserve_server.py MODEL GRPC_PORT HTTP_PORT``."""

from __future__ import annotations

import logging
import sys

import kserve  # type: ignore[import-not-found]  # only in its own environment
import numpy as np
import onnxruntime
from kserve import InferOutput, InferRequest, InferResponse  # type: ignore[import-not-found]


class Onnx(kserve.Model):  # type: ignore[misc]
    def __init__(self, path: str) -> None:
        super().__init__("model")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.output = self.session.get_outputs()[0].name
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):  # type: ignore[no-untyped-def]
        if isinstance(payload, dict):
            rows = np.asarray(payload["instances"], np.float32)
            return {"predictions": self.session.run(None, {self.input: rows})[0].tolist()}
        return self._infer(payload)

    def _infer(self, request: InferRequest) -> InferResponse:
        rows = request.inputs[0].as_numpy().astype(np.float32, copy=False)
        (answer,) = self.session.run(None, {self.input: rows})
        output = InferOutput(name=self.output, shape=list(answer.shape), datatype="FP32")
        wanted = request.request_outputs
        output.set_data_from_numpy(answer, binary_data=request.from_grpc or bool(wanted and wanted[0].binary_data))
        return InferResponse(request.id or "1", "model", [output], requested_outputs=wanted)


def main(path: str, grpc_port: str, http_port: str) -> None:
    server = kserve.ModelServer(
        http_port=int(http_port), grpc_port=int(grpc_port), workers=1, enable_latency_logging=False
    )
    for name in ("kserve.trace", "uvicorn.access"):  # a line for each request
        logging.getLogger(name).setLevel(logging.ERROR)
    server.start([Onnx(path)])


if __name__ == "__main__":
    main(*sys.argv[1:])
