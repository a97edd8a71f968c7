"""How many records and rows a second one worker of a stream answers.

    python -m bench.stream [--records 100000] [--rounds 3] [--kafka HOST:PORT] [--profile FILE]

A real broker, a worker started as a user would, the iris classifier inside it. Records are JSON, keyed, either of one
row or of a hundred; a plain Faust agent does the same beside it. All are measured in turn, round by round, so that a
busy machine slows down all of them. The rate is taken between the first and the last tenth of the results, and every
answer is compared with onnxruntime's own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import numpy as np
import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

PLAIN = "a plain Faust agent, 1 row a record"
ROWS = {"1 row a record": 1, "100 rows a record": 100, PLAIN: 1}
# Fewer records where each takes longer, so that no measurement is much longer than the others.
SHARE = {"1 row a record": 1, "100 rows a record": 4, PLAIN: 8}
SPEC = """
name = "{name}"
[source]
topic = "{name}-in"
format = "ndarray"
features = "x"
[service]
model = "{model}"
[sink]
topic = "{name}-out"
format = "ndarray"
[kafka]
bootstrap = "{address}"
"""


def train(folder: Path) -> Path:
    """The iris classifier as ONNX."""
    from skl2onnx import to_onnx
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    data, truth = load_iris(return_X_y=True)
    fitted = LogisticRegression(max_iter=1000).fit(data, truth)
    model = to_onnx(fitted, data[:1].astype(np.float32), options={"zipmap": False})
    path = folder / "iris.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def features(number: int, rows: int) -> list[Any]:
    row = [5.0 + number % 17 / 10, 3.5, 1.0 + number % 23 / 5, 0.2]
    return row if rows == 1 else [[x + each / 1000 for x in row] for each in range(rows)]


async def fill(address: str, topic: str, records: int, rows: int) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=address, max_batch_size=500_000, max_request_size=1 << 20
    ) as producer:
        batch = producer.create_batch()
        for number in range(records):
            value = json.dumps({"id": number, "x": features(number, rows)}).encode()
            one = {"timestamp": None, "key": b"station-%d" % (number % 5000), "value": value}
            if batch.append(**one) is None:
                await producer.send_batch(batch, topic, partition=0)
                batch = producer.create_batch()
                batch.append(**one)
        await producer.send_batch(batch, topic, partition=0)


async def measure(address: str, topic: str, records: int, worker: psutil.Process) -> tuple[float, float]:
    """Records a second, and CPU seconds for a thousand records, of the middle eight tenths."""
    part = TopicPartition(topic, 0)
    marks: list[tuple[int, float, float]] = []
    async with AIOKafkaConsumer(bootstrap_servers=address) as consumer:
        until = time.monotonic() + 300
        while time.monotonic() < until:
            end = (await consumer.end_offsets([part]))[part]
            times = worker.cpu_times()
            marks.append((end, time.perf_counter(), times.user + times.system))
            if end >= records:
                break
            await asyncio.sleep(0.05)
    middle = [mark for mark in marks if records * 0.1 <= mark[0] <= records * 0.9]
    (first, began, cpu), (last, ended, cpu_end) = middle[0], middle[-1]
    return (last - first) / (ended - began), 1000 * (cpu_end - cpu) / (last - first)


async def check(address: str, topic: str, records: int, rows: int, model: Path) -> None:
    """Compare every answer with the model's own."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    got: dict[int, Any] = {}
    async with AIOKafkaConsumer(topic, bootstrap_servers=address, auto_offset_reset="earliest") as consumer:
        order: dict[bytes, int] = {}
        while len(got) < records:
            for batch in (await consumer.getmany(timeout_ms=1000)).values():
                for record in batch:
                    turn = order.get(record.key, 0)
                    order[record.key] = turn + 1
                    got[int(record.key.removeprefix(b"station-")) + 5000 * turn] = json.loads(record.value)
    asked = np.array([features(number, rows) for number in range(records)], np.float32).reshape(-1, 4)
    labels, probabilities = session.run(None, {session.get_inputs()[0].name: asked})
    wanted = np.column_stack([labels, probabilities])
    answers = np.array([got[number] for number in range(records)], np.float64)
    np.testing.assert_allclose(answers.reshape(wanted.shape), wanted, rtol=1e-5)


def start(spec: Path, log: Path, profile: str, plain: dict[str, str]) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        command = [sys.executable, "-m", "penstock.cli", "stream", "run", str(spec)]
        if plain:
            command = [sys.executable, str(Path(__file__).with_name("plain_faust.py")), "worker", "-l", "error"]
        worker = subprocess.Popen(command, stdout=out, stderr=out, cwd=log.parent, env=os.environ | plain)
    if profile:
        spy = ["py-spy", "record", "-p", str(worker.pid), "-d", "12", "-r", "200", "-f", "raw", "-o", profile]
        subprocess.Popen(spy, stdout=subprocess.DEVNULL)
    return worker


async def one(
    address: str, folder: Path, model: Path, records: int, rows: int, profile: str, *, is_plain: bool
) -> tuple[float, float]:
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    name = f"bench-{uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.create_topics([NewTopic(f"{name}-{end}", 1, 1) for end in ("in", "out")])
    await admin.close()
    await fill(address, f"{name}-in", records, rows)
    spec = folder / "stream.toml"
    spec.write_text(SPEC.format(name=name, model=model, address=address))
    plain = {"NAME": name, "ADDRESS": address, "MODEL": str(model)} if is_plain else {}
    worker = start(spec, folder / "worker.log", profile, plain)
    try:
        rate, cpu = await measure(address, f"{name}-out", records, psutil.Process(worker.pid))
        await check(address, f"{name}-out", records, rows, model)
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    return rate, cpu


async def rounds(address: str, records: int, times: int, profile: str) -> dict[str, dict[str, float]]:
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in ROWS}
    with TemporaryDirectory() as base:
        folder = Path(base)
        model = train(folder)
        for turn in range(times):
            for name, rows in ROWS.items():
                count, spy = records // SHARE[name], profile if name == "1 row a record" else ""
                rate, cpu = await one(address, folder, model, count, rows, spy, is_plain=name == PLAIN)
                seen[name].append((rate, cpu))
                print(f"round {turn + 1}, {name}: {rate:,.0f} records/s, {rate * rows:,.0f} rows/s", flush=True)
    return {
        name: {
            "records_per_second": statistics.median(rate for rate, _ in runs),
            "rows_per_second": statistics.median(rate * ROWS[name] for rate, _ in runs),
            "cpu_seconds_per_1000_records": statistics.median(cpu for _, cpu in runs),
        }
        for name, runs in seen.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kafka", default="", help="a broker that is there; one is started where not given")
    parser.add_argument(
        "--profile", default="", help="write a py-spy profile (raw stacks) of the single-row worker here"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    from penstock.deploy.kafka import broker

    with TemporaryDirectory() as folder, nullcontext() if options.kafka else broker(Path(folder)) as running:
        address = options.kafka or running.address
        result = asyncio.run(rounds(address, options.records, options.rounds, options.profile))
    if options.json:
        print(json.dumps(result | {"cores": os.cpu_count()}))
        return
    for name, numbers in result.items():
        print(f"{name}: " + ", ".join(f"{key.replace('_', ' ')} {value:,.2f}" for key, value in numbers.items()))


if __name__ == "__main__":
    main()
