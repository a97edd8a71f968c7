"""The ONNX file in Ray Serve: ``python ray_server.py MODEL HTTP_PORT FOLDER``; JSON, or float32 bytes as they are."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import onnxruntime
import orjson
import ray  # type: ignore[import-not-found]  # only in its own environment
from ray import serve
from starlette.responses import Response


@serve.deployment(num_replicas=1, max_ongoing_requests=128, ray_actor_options={"num_cpus": 0})  # type: ignore[untyped-decorator]
class Onnx:
    def __init__(self, path: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0]

    async def __call__(self, request: Any) -> Any:
        body = await request.body()
        if request.headers["content-type"] == "application/octet-stream":
            rows = np.frombuffer(body, np.float32).reshape(-1, *self.input.shape[1:])
            return Response(self.session.run(None, {self.input.name: rows})[0].tobytes())
        rows = np.asarray(orjson.loads(body)["rows"], np.float32)
        answer = self.session.run(None, {self.input.name: rows})[0]
        return Response(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY))


def main(path: str, http_port: str, folder: str) -> None:
    ray.init(num_cpus=2, include_dashboard=False, _temp_dir=folder, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(http_port), "access_log": False})
    serve.run(Onnx.bind(path), route_prefix="/predict", logging_config={"enable_access_log": False})
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
