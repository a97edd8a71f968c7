"""The shortest exactly-once worker on librdkafka, without Penstock's engine: what the harness itself is tried with.

It ends at any error; somebody has to start it again. `python -m tests.chaos.bare_loop stream.toml`.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from threading import Event
from uuid import uuid4

import numpy as np
from confluent_kafka import Consumer, Message, Producer

from penstock.streams import load_stream

from .questions import MODEL


def main(path: Path) -> None:
    """Run until SIGTERM."""
    stream, over = load_stream(path), Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    names: dict[str, type] = {}
    exec(MODEL, names)
    model = names["SeldonWrapper"]()

    def outcome(message: Message) -> tuple[str, bytes | None]:
        try:
            document = json.loads(message.value() or b"")
            answer = model.predict(np.array([document["x"]]))[0]
        except ValueError:
            return stream.dead_letter, message.value()
        return stream.sink.topic, json.dumps(document | {"answer": answer.tolist()}).encode()

    address, session = stream.kafka.bootstrap, int(stream.kafka.session_timeout * 1000)
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": stream.kafka.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "session.timeout.ms": session,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": address,
            "transactional.id": f"bare-{uuid4()}",
            "transaction.timeout.ms": session,
            "partitioner": "murmur2_random",
            "linger.ms": 5,
        }
    )
    producer.init_transactions(30)
    consumer.subscribe([stream.source.topic], on_assign=lambda *_: print("ready", flush=True))
    while not over.is_set():
        messages = [message for message in consumer.consume(256, 0.1) if not message.error()]
        if not messages:
            continue
        producer.begin_transaction()
        for message in messages:
            topic, value = outcome(message)
            producer.produce(topic, value, message.key(), headers=message.headers() or [])
        positions = [part for part in consumer.position(consumer.assignment()) if part.offset >= 0]
        producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata(), 30)
        producer.commit_transaction(30)
    consumer.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
