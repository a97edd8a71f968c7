"""The yardstick: consume, decode, one model call, encode, produce, commit, by hand and in one transaction for a batch.

What a good engineer writes in an afternoon: librdkafka, orjson, the model asked once for a batch, the answers taken out
of numpy at once, the key kept. No headers, no dead letters, no metrics; one bad record ends it.
"""

from __future__ import annotations

import os

import numpy as np
import onnxruntime
import orjson
from confluent_kafka import Consumer, Producer

GROUP, ADDRESS, SOURCE, SINK, MODEL = (os.environ[each] for each in ("GROUP", "ADDRESS", "SOURCE", "SINK", "MODEL"))
BATCH = int(os.environ["BATCH"])
_WAIT = 0.1  # seconds for a batch that does not fill
_SECONDS = 30.0  # for the broker's part in a transaction


def main() -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    consumer = Consumer(
        {
            "bootstrap.servers": ADDRESS,
            "group.id": GROUP,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    producer = Producer({"bootstrap.servers": ADDRESS, "transactional.id": GROUP})
    producer.init_transactions(_SECONDS)
    consumer.subscribe([SOURCE])
    while True:
        messages = consumer.consume(BATCH, _WAIT)
        if not messages:
            continue
        rows = np.array([orjson.loads(message.value())["x"] for message in messages], np.float32)
        answers = session.run(None, {name: rows})[0].tolist()
        producer.begin_transaction()
        for message, answer in zip(messages, answers, strict=True):
            producer.produce(SINK, orjson.dumps(answer), message.key())
        producer.send_offsets_to_transaction(
            consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), _SECONDS
        )
        producer.commit_transaction(_SECONDS)


if __name__ == "__main__":
    main()
