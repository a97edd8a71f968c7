"""How many FlowFiles, and rows, InvokeModel answers, beside a Python processor that only reads and writes.

    python -m bench.nifi [--nifi http://HOST:PORT --extensions FOLDER] [--rounds 3] [--scale 1.0]

A real NiFi and models in services of their own, all on this machine: the iris classifier for the small payload (five
rows) and the rows by line, a linear model of 784 pixels for the large one (one image). FlowFiles wait in a queue; the
rate is taken while the second to the ninth tenth of them go through the processor under test, and the processor time
of the JVM, its Python workers and the service with it. All cases run in turn, round by round, so that a busy machine
slows down all of them. Without --nifi a NiFi is started as `penstock nifi up` does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import psutil
from tests.processors.group import Group, until

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULTS = Path(__file__).parent / "results" / "nifi.json"
STOCK = "BenchReadWrite"
STOCK_SOURCE = f"""
from nifiapi.flowfiletransform import FlowFileTransform, FlowFileTransformResult


class {STOCK}(FlowFileTransform):
    class Java:
        implements = ["org.apache.nifi.python.processor.FlowFileTransform"]

    class ProcessorDetails:
        version = "0.0.1"
        description = "Reads the content and writes it back, as any Python processor does"
        tags = ["bench"]

    def __init__(self, **kwargs):
        super().__init__()

    def transform(self, context, flowfile):
        data = flowfile.getContentsAsBytes()
        return FlowFileTransformResult("success", attributes={{"size": str(len(data))}}, contents=bytes(data)[::-1])
"""
ROW = [5.1, 3.5, 1.4, 0.2]


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured: a processor, what it gets, and how many FlowFiles of it."""

    name: str
    processor: str
    content: str
    flowfiles: int
    tasks: int = 4
    properties: tuple[tuple[str, str], ...] = ()
    rows: int = 1
    model: str = "iris"
    door: str = "grpc"


def cases(scale: float) -> list[Case]:
    small, large = table(100), json.dumps([[round(pixel / 784, 10) for pixel in range(784)]])
    lines = "\n".join(json.dumps(ROW, separators=(",", ":")) for _ in range(500))
    by_line = (("Rows per FlowFile", "one row per line"),)
    ours = "InvokeModel"
    return [
        Case("100 B, reads and writes only", STOCK, small, int(3000 * scale)),
        Case("100 B, InvokeModel", ours, small, int(3000 * scale)),
        Case("100 B, InvokeModel over REST", ours, small, int(3000 * scale), door="http"),
        Case("10 KB, reads and writes only", STOCK, large, int(500 * scale)),
        Case("10 KB, InvokeModel", ours, large, int(2000 * scale), model="pixels"),
        Case("500 rows by line, InvokeModel", ours, lines, int(1500 * scale), properties=by_line, rows=500),
    ]


def table(size: int) -> str:
    """An ndarray of iris rows of about that many bytes."""
    row = json.dumps(ROW, separators=(",", ":"))
    return f"[{','.join([row] * max(1, size // (len(row) + 1)))}]"


def measure(address: str, services: dict[str, str], case: Case, run_ms: int) -> dict[str, float]:
    """FlowFiles a second, and processor time for each of them, once."""
    with Group(address, "bench") as group:
        text = {"generate-ff-custom-text": case.content, "Batch Size": "100"}
        source = group.add("GenerateFlowFile", text)
        target = services[f"{case.model} {case.door}"]
        own = {"Model name": case.model, "Service address": target} if case.processor == "InvokeModel" else {}
        ends = ("success", "original") if own else ("success", "original", "failure")
        tested = group.add(case.processor, {**own, **dict(case.properties)}, drop=ends, tasks=case.tasks, run_ms=run_ms)
        wrong = group.connect(tested, ["failure", "retry"]) if own else None
        queue = group.connect(source, ["success"], tested)
        group.run(source)
        until(lambda: group.queued(queue) >= case.flowfiles, "filled", 120)
        group.stop(source)
        rate, cpu = drained(group, queue, tested, Processes(address, target))
        if wrong and group.queued(wrong):
            sys.exit(f"{case.name}: {group.arrived(wrong)[0].attributes}")
        return {"flowfiles_per_s": rate, "rows_per_s": rate * case.rows, "cpu_ms_per_flowfile": cpu}


def drained(group: Group, queue: str, tested: str, processes: Processes) -> tuple[float, float]:
    """FlowFiles a second while the middle eight tenths leave the queue, and milliseconds of processor time for each."""
    total = group.queued(queue)
    group.run(tested)
    seen: list[tuple[float, int, float]] = []
    while not seen or seen[-1][1] > total * 0.1:
        left = group.queued(queue)
        if left <= total * 0.9:
            seen.append((time.perf_counter(), left, processes.cpu_seconds()))
        if len(seen) > 1 and seen[-1][0] - seen[0][0] > 60:
            break
        time.sleep(0.1)
    (start, most, idle), (end, least, busy) = seen[0], seen[-1]
    return (most - least) / (end - start), (busy - idle) * 1e3 / (most - least)


class Processes:
    """All that takes part: the JVM, its Python workers, the service."""

    def __init__(self, *addresses: str) -> None:
        ports = {int(address.rpartition(":")[2]) for address in addresses}
        listening = [each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
        roots = {each.pid for each in listening if each.laddr and each.laddr.port in ports and each.pid}
        self._all = [process for pid in roots for process in (psutil.Process(pid), *psutil.Process(pid).children())]

    def cpu_seconds(self) -> float:
        return sum(sum(each.cpu_times()[:2]) for each in self._all)


@contextmanager
def services() -> Iterator[dict[str, str]]:
    """The addresses of the models, each served by a process of its own: by name and door."""
    iris = Path(__file__).parents[2] / "shared" / "data" / "iris.onnx"
    with TemporaryDirectory() as folder, ExitStack() as stack:
        pixels = Path(folder) / "pixels.onnx"
        write_linear(pixels)
        found: dict[str, str] = {}
        for name, model in (("iris", iris), ("pixels", pixels)):
            command = [sys.executable, "-m", "penstock.cli", "serve", "--model", str(model), "--name", name]
            command += ["--grpc-port", "0", "--http-port", "0"]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            assert process.stdout is not None
            says = re.search(r"grpc=(\S+) http=(\S+)", process.stdout.readline())
            assert says is not None
            found |= {f"{name} grpc": says[1], f"{name} http": says[2]}
        yield found


def write_linear(path: Path) -> None:
    """784 pixels to ten scores."""
    import onnx
    from onnx import TensorProto, helper

    given = [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 784])]
    answers = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 10])]
    weights = helper.make_tensor("weights", TensorProto.FLOAT, [784, 10], [(at % 7) / 7 for at in range(7840)])
    node = helper.make_node("MatMul", ["pixels", "weights"], ["scores"])
    graph = helper.make_graph([node], "pixels", given, answers, [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


@contextmanager
def own_nifi() -> Iterator[tuple[str, Path]]:
    from penstock.deploy.nifi import nifi

    with nifi() as running:
        yield running.address, Path(running.folder) / "python" / "extensions"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nifi")
    parser.add_argument("--extensions", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", default="")
    parser.add_argument("--run-ms", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    where = nullcontext((given.nifi, given.extensions)) if given.nifi else own_nifi()
    rates: dict[str, list[dict[str, float]]] = {}
    with where as (address, extensions), services() as targets:
        if extensions:
            (extensions / f"{STOCK}.py").write_text(STOCK_SOURCE)
        for number in range(given.rounds + 1):  # the first one is for the JVM's compilers, and does not count
            for case in cases(given.scale):
                if given.only in case.name:
                    found = measure(address, targets, case, given.run_ms)
                    if number:
                        rates.setdefault(case.name, []).append(found)
                    rate, cpu = found["flowfiles_per_s"], found["cpu_ms_per_flowfile"]
                    print(f"round {number}  {case.name:32} {rate:8.0f}/s  {cpu:.2f} ms of CPU each", flush=True)
    report(rates, given.results if not given.only else None)


def report(rates: dict[str, list[dict[str, float]]], results: Path | None) -> None:
    table = {
        name: {key: round(statistics.median(each[key] for each in found), 1) for key in found[0]}
        for name, found in rates.items()
    }
    print(json.dumps(table, indent=2))
    if results is None:
        return
    ratios = {
        "100 B: InvokeModel to reads and writes only": ratio(rates, "100 B"),
        "10 KB: InvokeModel to reads and writes only": ratio(rates, "10 KB"),
    }
    print(json.dumps(ratios, indent=2))
    about: dict[str, Any] = {
        "cores": os.cpu_count(),
        "load": [round(each) for each in os.getloadavg()],  # what else was running
        "python": platform.python_version(),
        "rounds": len(next(iter(rates.values()))),
    }
    results.write_text(
        json.dumps({"about": about, "medians": table, "ratios": ratios, "rounds": rates}, indent=1) + "\n"
    )


def ratio(rates: dict[str, list[dict[str, float]]], size: str) -> float:
    """The median of the rounds' own ratios."""
    ours, stock = rates[f"{size}, InvokeModel"], rates[f"{size}, reads and writes only"]
    pairs = zip(ours, stock, strict=True)
    return round(statistics.median(one["flowfiles_per_s"] / other["flowfiles_per_s"] for one, other in pairs), 2)


if __name__ == "__main__":
    main()
