"""The codec, in milliseconds for a million float64: ``python -m bench.codec --help``.

Each task is also done with protobuf's own objects or the standard library, as seldon-core does it. Results are
compared before anything is timed.
"""

from __future__ import annotations

import argparse
import base64
import gc
import json
import os
import time
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from bench import report
from google.protobuf import json_format

from penstock.proto import (
    Kind,
    Limits,
    Message,
    Payload,
    read_json_message,
    read_message,
    tensor_pb2,
    write_json_message,
    write_message,
)
from penstock.proto import prediction_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Array = np.ndarray[Any, np.dtype[Any]]

SEED = 20
LIMITS = Limits(message_bytes=1 << 30)


@dataclass(frozen=True, slots=True)
class Task:
    """One way through the codec.

    Attributes:
        name: of the row.
        ours: does it.
        theirs: does the same with protobuf's own objects or the standard library.
        same: whether two results mean the same.
        target_ms: that it shall not exceed; None where there is no target.
    """

    name: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    same: Callable[[Any, Any], bool]
    target_ms: float | None = None


def main() -> None:
    """Measure, print the table, keep the results."""
    options = _options()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    numbers = np.random.default_rng(SEED).normal(0, 100, (1000, 1000))
    rows = [_measure(task, options) for task in tasks(numbers)]
    print(table(rows))
    settings = {
        "commit": report.commit(),
        "repeats": options.repeats,
        "seed": SEED,
        "numbers": numbers.size,
        "shape": numbers.shape,
    }
    path = report.RESULTS / options.file
    report.write(report.about(["penstock"]) | {"settings": settings, "rows": rows}, path)
    print(f"\nkept in {path}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.codec", description=__doc__)
    parser.add_argument("--repeats", type=int, default=15, help="of each of our tasks; the median counts (15)")
    parser.add_argument("--reference-repeats", type=int, default=3, help="of each of the others (3)")
    parser.add_argument("--file", default="codec.json", help="under bench/results (codec.json)")
    return parser.parse_args()


def tasks(numbers: Array) -> Iterator[Task]:
    """What is measured, for a table of a million numbers."""
    yield from _over_grpc(numbers)
    yield from _over_json(numbers)


def _over_grpc(numbers: Array) -> Iterator[Task]:
    forms: list[tuple[Kind, Callable[[bytes], Any], Callable[[Array], bytes], float | None, float | None]] = [
        (Kind.TENSOR, _protobuf_tensor, _tensor_protobuf, 1.0, 10.0),
        (Kind.NDARRAY, _protobuf_ndarray, _ndarray_protobuf, 20.0, 60.0),
        (Kind.TFTENSOR, _protobuf_tftensor, _tftensor_protobuf, None, None),
    ]
    for kind, reader, writer, decode, encode in forms:
        message = Message(Payload(kind, numbers))
        data = write_message(message)
        read = _reading(data)
        yield Task(f"{kind}, gRPC, decode", read, partial(reader, data), np.array_equal, decode)
        yield Task(f"{kind}, gRPC, decode and copy", partial(_copied, read), partial(reader, data), np.array_equal)
        ours, theirs = partial(write_message, message), partial(writer, numbers)
        yield Task(f"{kind}, gRPC, encode", ours, theirs, _same_wire, encode)


def _copied(read: Callable[[], Any]) -> Array:
    """What a model needs that cannot take a view of the received bytes."""
    return np.array(read(), order="C")


def _reading(data: bytes) -> Callable[[], Any]:
    def read() -> Any:
        payload = read_message(data, LIMITS).payload
        assert payload is not None
        return payload.array

    return read


def _over_json(numbers: Array) -> Iterator[Task]:
    table, blob = Message(Payload(Kind.NDARRAY, numbers)), Message(Payload(Kind.BIN_DATA, numbers.tobytes()))
    text, coded = write_json_message(table), write_json_message(blob)
    yield Task("ndarray, JSON, decode", _reading_json(text), lambda: _array_of_json(text), np.array_equal)
    yield Task("ndarray, JSON, encode", lambda: write_json_message(table), lambda: _json_of(numbers), _same_json)
    yield Task("binData 8 MB, JSON, decode", _reading_json(coded), lambda: _bytes_of_json(coded), _equal)
    yield Task("binData 8 MB, JSON, encode", lambda: write_json_message(blob), lambda: _json_bytes(blob), _same_json)


def _reading_json(body: bytes) -> Callable[[], Any]:
    def read() -> Any:
        payload = read_json_message(body, LIMITS).payload
        assert payload is not None
        return payload.value

    return read


def _protobuf_tensor(data: bytes) -> Any:
    tensor = pb.SeldonMessage.FromString(data).data.tensor
    return np.array(tensor.values).reshape(tensor.shape)


def _tensor_protobuf(numbers: Array) -> bytes:
    tensor = pb.Tensor(shape=numbers.shape, values=numbers.ravel().tolist())
    return pb.SeldonMessage(data=pb.DefaultData(tensor=tensor)).SerializeToString()


def _protobuf_ndarray(data: bytes) -> Any:
    return np.array(json_format.MessageToDict(pb.SeldonMessage.FromString(data).data.ndarray))


def _ndarray_protobuf(numbers: Array) -> bytes:
    message = pb.SeldonMessage()
    message.data.ndarray.extend(numbers.tolist())
    return message.SerializeToString()


def _protobuf_tftensor(data: bytes) -> Any:
    tensor = pb.SeldonMessage.FromString(data).data.tftensor
    return np.frombuffer(tensor.tensor_content).reshape([size.size for size in tensor.tensor_shape.dim])


def _tftensor_protobuf(numbers: Array) -> bytes:
    message = pb.SeldonMessage()
    message.data.tftensor.dtype = tensor_pb2.DT_DOUBLE
    for size in numbers.shape:
        message.data.tftensor.tensor_shape.dim.add(size=size)
    message.data.tftensor.tensor_content = numbers.tobytes()
    return message.SerializeToString()


def _array_of_json(text: bytes) -> Any:
    return np.array(json.loads(text)["data"]["ndarray"])


def _json_of(numbers: Array) -> bytes:
    return json.dumps({"data": {"ndarray": numbers.tolist()}}).encode()


def _bytes_of_json(text: bytes) -> bytes:
    return base64.b64decode(json.loads(text)["binData"])


def _json_bytes(blob: Message) -> bytes:
    assert blob.payload is not None
    return json.dumps({"binData": base64.b64encode(blob.payload.value).decode()}).encode()


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other)


def _same_wire(one: bytes, other: bytes) -> bool:
    return bool(pb.SeldonMessage.FromString(one).data == pb.SeldonMessage.FromString(other).data)


def _same_json(one: bytes, other: bytes) -> bool:
    left, right = json.loads(one), json.loads(other)
    left.pop("meta", None)
    left.get("data", {}).pop("names", None)
    return bool(left == right)


def _measure(task: Task, options: argparse.Namespace) -> dict[str, Any]:
    assert task.same(task.ours(), task.theirs()), task.name
    ours = _milliseconds(task.ours, options.repeats)
    theirs = _milliseconds(task.theirs, options.reference_repeats)
    row = {"task": task.name, "ms": median(ours), "reference_ms": median(theirs), "target_ms": task.target_ms}
    return {**row, "times": round(median(theirs) / median(ours), 1), "rounds": ours}


def _milliseconds(task: Callable[[], Any], repeats: int) -> list[float]:
    gc.disable()
    try:
        return [_once(task) for _ in range(repeats)]
    finally:
        gc.enable()


def _once(task: Callable[[], Any]) -> float:
    started = time.perf_counter()
    task()
    return round((time.perf_counter() - started) * 1000, 4)


def table(rows: list[dict[str, Any]]) -> str:
    """As Markdown."""
    lines = [("task", "ms", "target", "protobuf's objects, standard library: ms", "× ")]
    for row in rows:
        target = "" if row["target_ms"] is None else f"{row['target_ms']:g}"
        reference = f"{row['reference_ms']:,.1f}"
        lines.append((row["task"], f"{row['ms']:.3g}", target, reference, f"{row['times']:g}"))
    return report.markdown(lines)


if __name__ == "__main__":
    main()
