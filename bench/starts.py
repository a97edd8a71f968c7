"""Starting: how long until the first right answer, how much memory before the first load."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench import asking, contenders, trees

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.contenders import Contender
    from bench.ways import Array, Way
    from tests.peers.servers import Server

# One that is up within this many seconds is started three times, for a median.
_QUICK, _TIMES = 2.0, 3
_IDLE_SECONDS = 1.0
_IMPORT = """
import sys, time
began = time.perf_counter()
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
print(time.perf_counter() - began)
"""


@dataclass(frozen=True, slots=True)
class Start:
    """How one contender came up with one model.

    Attributes:
        contender: who.
        model: which.
        seconds: from its start to the first answer, once or three times.
        idle_mb: memory before any load.
        idle_cpu: seconds of CPU per second while nobody asks.
        server: that now answers.
    """

    contender: Contender
    model: str
    seconds: Sequence[float]
    idle_mb: float
    idle_cpu: float
    server: Server


@dataclass(frozen=True, slots=True)
class Model:
    """What is served.

    Attributes:
        name: of ``bench.nets``.
        path: the ONNX file, with SeldonWrapper.py beside it.
        row: one, for the first question.
        names: of input and output.
    """

    name: str
    path: Path
    row: Array
    names: tuple[str, str]


def import_and_load(model: Path, prefix: Sequence[str]) -> float:
    """Seconds that a bare Python takes to import onnxruntime and to load the model: the least that a start can take."""
    command = [*prefix, sys.executable, "-c", _IMPORT, str(model)]
    return sorted(float(subprocess.check_output(command, text=True)) for _ in range(_TIMES))[_TIMES // 2]


@contextmanager
def running(
    contender: Contender, model: Model, ways: Sequence[Way], folder: Path, options: Sequence[str], prefix: Sequence[str]
) -> Iterator[Start]:
    """The contender, answering at every door that ``ways`` go through.

    Raises:
        DidNotStart: it ended, or did not answer in time.
    """
    # Each door once; REST first, since a peer's other process may come later.
    doors = sorted({way.door: way for way in reversed(ways)}.values(), key=lambda way: way.door != "rest")
    seconds: list[float] = []
    with ExitStack() as stack:
        server = _once(stack, contender, model, doors, folder, options, prefix, seconds)
        while seconds[0] < _QUICK and len(seconds) < _TIMES:
            stack.close()
            server = _once(stack, contender, model, doors, folder, options, prefix, seconds)
        memory, before = trees.memory_mb(server.group), trees.cpu_seconds(server.group)
        time.sleep(_IDLE_SECONDS)
        idle = (trees.cpu_seconds(server.group) - before) / _IDLE_SECONDS
        yield Start(contender, model.name, seconds, memory, idle, server)


def _once(
    stack: ExitStack,
    contender: Contender,
    model: Model,
    doors: Sequence[Way],
    folder: Path,
    options: Sequence[str],
    prefix: Sequence[str],
    seconds: list[float],
) -> Server:
    first: list[float] = []

    def answers(server: Server) -> bool:
        for door in doors:
            if not asking.opens(server, door, model.row, model.names):
                return False
            first.append(time.monotonic())
        return True

    at = contenders.site(model.path, folder, options)
    launch = contender.launch(at)
    # Not when the process that holds the server began: that is a Python, too, and takes some 17 ms to start.
    began = at.folder / "began"
    launch = replace(launch, variables={**launch.variables, "TETHER_BEGAN": str(began)})
    server = stack.enter_context(contenders.started(launch, at, answers, prefix))
    seconds.append(first[0] - float(began.read_text()))
    return server
