"""What one writes with Faust alone: an agent that asks the model for each record and sends the answer.

Run by `bench.stream` as the thing to compare with; default settings but for the memory store and no web server.
"""

from __future__ import annotations

import json
import os

import faust
import numpy as np
import onnxruntime

NAME, ADDRESS, MODEL = (os.environ[each] for each in ("NAME", "ADDRESS", "MODEL"))

app = faust.App(
    NAME,
    broker=f"kafka://{ADDRESS}",
    store="memory://",
    web_enabled=False,
    topic_disable_leader=True,
    datadir=os.curdir,
)
source = app.topic(f"{NAME}-in", value_type=bytes, value_serializer="raw")
sink = app.topic(f"{NAME}-out", value_type=bytes, value_serializer="raw")
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name


@app.agent(source)
async def answer(stream: faust.StreamT) -> None:
    async for key, value in stream.items():
        labels, probabilities = session.run(None, {name: np.array([json.loads(value)["x"]], np.float32)})
        await sink.send(key=key, value=json.dumps([float(labels[0]), *map(float, probabilities[0])]).encode())


if __name__ == "__main__":
    app.main()
