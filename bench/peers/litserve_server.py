"""The ONNX file in LitServe: ``python litserve_server.py MODEL HTTP_PORT``."""

# Types are left out: an annotation here is an instruction to FastAPI here.
import sys

import litserve  # type: ignore[import-not-found]  # only in its own environment
import numpy as np
import onnxruntime


class Onnx(litserve.LitAPI):  # type: ignore[misc]
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def setup(self, device: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def decode_request(self, request):  # type: ignore[no-untyped-def]
        return np.asarray(request["rows"], np.float32)

    def predict(self, x):  # type: ignore[no-untyped-def]
        return self.session.run(None, {self.input: x})[0]

    def encode_response(self, output):  # type: ignore[no-untyped-def]
        return {"predictions": output.tolist()}


def main(path: str, http_port: str) -> None:
    server = litserve.LitServer(Onnx(path), accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(host="127.0.0.1", port=int(http_port), log_level="warning", generate_client_file=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
