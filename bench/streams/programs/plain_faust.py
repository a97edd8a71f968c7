"""What one writes with Faust alone: an agent that asks the model for each record and sends the answer.

Default settings but for the memory store and no web server.
"""

from __future__ import annotations

import json
import os

import faust
import numpy as np
import onnxruntime

GROUP, ADDRESS, SOURCE, SINK, MODEL = (os.environ[each] for each in ("GROUP", "ADDRESS", "SOURCE", "SINK", "MODEL"))

app = faust.App(
    GROUP,
    broker=f"kafka://{ADDRESS}",
    store="memory://",
    web_enabled=False,
    topic_disable_leader=True,
    datadir=os.curdir,
)
source = app.topic(SOURCE, value_type=bytes, value_serializer="raw")
sink = app.topic(SINK, value_type=bytes, value_serializer="raw")
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name


@app.agent(source)
async def answer(stream: faust.StreamT) -> None:
    async for key, value in stream.items():
        (answers,) = session.run(None, {name: np.array([json.loads(value)["x"]], np.float32)})
        await sink.send(key=key, value=json.dumps(answers[0].tolist()).encode())


if __name__ == "__main__":
    app.main()
