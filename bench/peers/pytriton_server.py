"""The ONNX file in PyTriton, with its batcher: ``python pytriton_server.py MODEL GRPC_PORT HTTP_PORT``."""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime
from pytriton.decorators import batch  # type: ignore[import-not-found]  # only in its own environment
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor  # type: ignore[import-not-found]
from pytriton.triton import Triton, TritonConfig  # type: ignore[import-not-found]

_ROWS = 512


def main(path: str, grpc_port: str, http_port: str) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (given,), (found,) = session.get_inputs(), session.get_outputs()

    @batch  # type: ignore[untyped-decorator]
    def infer(**arrays):  # type: ignore[no-untyped-def]
        return session.run(None, arrays)

    config = TritonConfig(
        grpc_address="127.0.0.1",
        grpc_port=int(grpc_port),
        http_address="127.0.0.1",
        http_port=int(http_port),
        allow_metrics=False,
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="model",
            infer_func=infer,
            inputs=[Tensor(name=given.name, dtype=np.float32, shape=tuple(given.shape[1:]))],
            outputs=[Tensor(name=found.name, dtype=np.float32, shape=tuple(found.shape[1:]) or (-1,))],
            config=ModelConfig(max_batch_size=_ROWS, batcher=DynamicBatcher()),
        )
        triton.serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
