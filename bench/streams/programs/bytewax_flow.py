"""What one writes with Bytewax: its Kafka source and sink, and between them ``map``, as its documentation shows.

Or ``flat_map_batch``, which its reference recommends where many items at once are much cheaper: the model is then asked
once for each batch that the source gives.
"""

from __future__ import annotations

import os

import bytewax.operators as op
import numpy as np
import onnxruntime
import orjson
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow

GROUP, ADDRESS, SOURCE, SINK, MODEL = (os.environ[each] for each in ("GROUP", "ADDRESS", "SOURCE", "SINK", "MODEL"))

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name


def answers(messages: list[KafkaSourceMessage]) -> list[KafkaSinkMessage]:
    rows = np.array([orjson.loads(message.value)["x"] for message in messages], np.float32)
    found = session.run(None, {name: rows})[0].tolist()
    return [KafkaSinkMessage(one.key, orjson.dumps(each)) for one, each in zip(messages, found, strict=True)]


def answer(message: KafkaSourceMessage) -> KafkaSinkMessage:
    rows = np.array([orjson.loads(message.value)["x"]], np.float32)
    (found,) = session.run(None, {name: rows})
    return KafkaSinkMessage(message.key, orjson.dumps(found[0].tolist()))


flow = Dataflow("bench")
source = op.input("source", flow, KafkaSource([ADDRESS], [SOURCE]))
by_batch = os.environ["BY"] == "batch"
answered = op.flat_map_batch("answer", source, answers) if by_batch else op.map("answer", source, answer)
op.output("sink", answered, KafkaSink([ADDRESS], SINK))
