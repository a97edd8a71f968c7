"""What one writes with Quix Streams: an Application, its dataframe, a function applied to each record.

Exactly once, as Quix calls it: results and offsets of a checkpoint in one transaction. JSON is read and written by
Quix itself (with orjson). Quix hands records to a function one by one, so the model is asked for each.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnxruntime
from quixstreams import Application

GROUP, ADDRESS, SOURCE, SINK, MODEL = (os.environ[each] for each in ("GROUP", "ADDRESS", "SOURCE", "SINK", "MODEL"))

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name


def answer(record: dict[str, Any]) -> list[float]:
    (answers,) = session.run(None, {name: np.array([record["x"]], np.float32)})
    return answers[0].tolist()


if __name__ == "__main__":
    app = Application(
        broker_address=ADDRESS,
        consumer_group=GROUP,
        auto_offset_reset="earliest",
        processing_guarantee=os.environ["GUARANTEE"],
        commit_every=int(os.environ["COMMIT_EVERY"]),
        state_dir=os.curdir,
        loglevel="WARNING",
    )
    source = app.topic(SOURCE, key_deserializer="bytes", value_deserializer="json")
    sink = app.topic(SINK, key_serializer="bytes", value_serializer="json")
    app.dataframe(source).apply(answer).to_topic(sink)
    app.run()
