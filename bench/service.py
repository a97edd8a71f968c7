"""``penstock serve`` beside its peers: ``python -m bench.service --help``.

Without options beside seldon-core, in some minutes; ``--full`` beside every peer, each in an environment of its own.
All answer the same requests on one core, the load comes from another, and they take turns in rounds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from bench import asking, contenders, goals, load, nets, page, report, starts
from bench.cores import prefixes
from bench.load import Aim
from bench.rounds import Cell, measure
from bench.starts import Model
from bench.ways import question
from bench.works import SEED, WORKS
from tests.peers.environments import NoPython
from tests.peers.programs import DidNotStart

from penstock.proto import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.contenders import Contender
    from bench.starts import Start
    from bench.works import Work

_WRAPPER = Path(__file__).parent / "model" / "SeldonWrapper.py"
_LIMITS_SECONDS = 300
# What keeps one contender out, and nobody else.
_ABSENT = (DidNotStart, NoPython, SetupError, subprocess.SubprocessError, OSError)


@dataclass(slots=True)
class Found:
    """What a run has so far.

    Attributes:
        cells: with their rounds.
        starts: how each came up.
        bare: of each model, seconds that importing onnxruntime and loading it take.
        missing: who or what was not measured, and why.
        absent: contenders that did not start.
    """

    cells: list[Cell] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    bare: dict[str, float] = field(default_factory=dict)
    missing: list[dict[str, str]] = field(default_factory=list)
    absent: set[str] = field(default_factory=set)

    def miss(self, who: str, what: str, why: object) -> None:
        """Tell it, and keep it."""
        text = str(why).strip()[-1500:]
        print(f"  {who}, {what}: not measured: …{text[-400:]}", flush=True)
        self.missing.append({"server": who, "what": what, "why": text})


def main() -> None:
    """Measure, print what came of it, keep the results."""
    options = _options()
    load.check_tools()
    began, commit, found = time.monotonic(), report.commit(), Found()
    machine = report.machine()
    chosen = [each for each in contenders.ALL if _wanted(each, options) and _installed(each, found)]
    works = [work for work in WORKS if not options.work or work.name in options.work]
    result: dict[str, Any] = {}
    path = report.RESULTS / options.file
    for model in dict.fromkeys(work.model for work in works):
        _heat(model, [work for work in works if work.model == model], chosen, options, found)
        settings = _settings(options, commit, time.monotonic() - began)
        result = _result(found, chosen, settings) | {"machine": machine}
        report.write(result, path)  # after each model: a run that is stopped leaves something
    if options.page:
        result["limits"] = _limits(options.rounds, found)
        report.write(result, path)
    print(page.summary(result))
    print(f"\n{time.monotonic() - began:.0f} s, kept in {path}")
    if options.page:
        print(f"and in {page.write(result)}")


def _limits(rounds: int, found: Found) -> list[dict[str, Any]]:
    """The rows of ``bench.limits``; none where that failed, which costs nobody else's numbers."""
    print("the limits of this machine", flush=True)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "limits.json"
        command = [sys.executable, "-m", "bench.limits", "--seconds", "1", "--rounds", str(rounds), "--file", str(file)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_LIMITS_SECONDS)
        except (subprocess.SubprocessError, OSError) as reason:
            found.miss("bench.limits", "everything", getattr(reason, "stderr", None) or reason)
            return []
        return list(json.loads(file.read_text())["rows"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.service", description=__doc__)
    parser.add_argument("--full", action="store_true", help="beside every peer, not seldon-core alone; writes the page")
    parser.add_argument("--rounds", type=int, default=3, help="how often the servers take turns (3)")
    parser.add_argument("--seconds", type=float, help="of one turn (1, with --full 2)")
    parser.add_argument("--only", nargs="+", default=[], metavar="SERVER", help=", ".join(_names()))
    parser.add_argument(
        "--work", nargs="+", default=[], choices=[work.name for work in WORKS], help="some of the works"
    )
    parser.add_argument("--door", choices=("grpc", "rest"), help="one of the doors")
    parser.add_argument("--options", default="", help="more of penstock serve, such as --options=--batch-wait=0.001")
    parser.add_argument("--file", help="under bench/results (latest.json; with --only, --work or --door trial.json)")
    parser.add_argument("--page", action="store_true", help="write docs/speed.md and its charts")
    options = parser.parse_args()
    if unknown := set(options.only) - set(_names()):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(_names())}")
    trial = bool(options.only or options.work or options.door)
    options.file = options.file or ("trial.json" if trial else "latest.json")
    options.seconds = options.seconds or (2.0 if options.full else 1.0)
    options.page = options.page or (options.full and not trial)
    return options


def _names() -> list[str]:
    return list(dict.fromkeys(each.label for each in contenders.ALL))


def _wanted(contender: Contender, options: argparse.Namespace) -> bool:
    if options.only:
        return contender.label in options.only
    return options.full or contender.name in contenders.SHORT


def _installed(contender: Contender, found: Found) -> bool:
    print(f"{contender.name}: {'installing, if need be' if contender.peer else 'ours'}", flush=True)
    try:
        contender.ready()
    except _ABSENT as reason:
        found.miss(contender.label, "everything", reason)
        return False
    return True


def _settings(options: argparse.Namespace, commit: str, elapsed: float) -> dict[str, Any]:
    names = ("full", "rounds", "seconds", "only", "work", "door", "options")
    return {name: getattr(options, name) for name in names} | {"commit": commit, "took_seconds": round(elapsed)}


def _result(found: Found, chosen: Sequence[Contender], settings: dict[str, Any]) -> dict[str, Any]:
    rows = report.rows_of(found.cells)
    began = report.starts_of(found.starts, found.cells, found.bare)
    return {
        **report.about([each.name for each in chosen]),
        "seed": SEED,
        "settings": settings,
        "works": {work.name: work.says for work in WORKS},
        "setups": {each.label: each.says for each in chosen if each.says},
        "goals": goals.reached(rows, began),
        "rows": rows,
        "starts": began,
        "missing": found.missing,
    }


def _heat(
    name: str, works: Sequence[Work], chosen: Sequence[Contender], options: argparse.Namespace, found: Found
) -> None:
    """All contenders that have a way for one of the works with this model, up at once and in turns."""
    server_prefix, load_prefix = prefixes()
    with TemporaryDirectory(prefix="pb") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        model = _model(name, folder / "model")
        found.bare[name] = starts.import_and_load(model.path, server_prefix)
        cells: list[Cell] = []
        for at, contender in enumerate(chosen):
            ways = [way for work in works for way in _ways(contender, work, options)]
            if not ways or contender.name in found.absent:
                continue
            place, more = folder / str(at), options.options.split()
            try:
                start = stack.enter_context(starts.running(contender, model, ways, place, more, server_prefix))
            except _ABSENT as reason:
                found.miss(contender.label, f"{name} and what comes after it", reason)
                found.absent.add(contender.name)  # another try costs minutes
                continue
            found.starts.append(start)
            some = list(_cells(start, model, works, options, found))
            print(f"{name}: {contender.name} answers after {start.seconds[-1]:.2f} s, {len(some)} cells", flush=True)
            cells += some
        cells.sort(key=lambda cell: works.index(cell.work))
        measure(
            cells,
            rounds=options.rounds,
            seconds=options.seconds,
            prefix=load_prefix,
            say=lambda text: print(text, flush=True),
        )
        for cell in cells:
            if cell.failure:
                found.missing.append(_failure(cell))
        found.cells += cells


def _model(name: str, folder: Path) -> Model:
    folder.mkdir()
    path = folder / "model.onnx"
    nets.write(name, path)
    shutil.copy(_WRAPPER, folder)
    return Model(name, path, nets.rows(name, 1), nets.names(path))


def _ways(contender: Contender, work: Work, options: argparse.Namespace) -> list[Any]:
    return [way for way in contender.ways.get(work.name, ()) if options.door in (None, way.door)]


def _cells(
    start: Start, model: Model, works: Sequence[Work], options: argparse.Namespace, found: Found
) -> Iterator[Cell]:
    """What this contender is measured at: each way whose answer is right."""
    for work in works:
        rows = nets.rows(work.model, work.rows)
        expected = nets.answer(model.path, rows)
        for way in _ways(start.contender, work, options):
            asked = question(way, rows, model.names)
            try:
                reply = asking.check(start.server, way, asked, expected)
            except (asking.WrongAnswer, LookupError, ValueError, AssertionError) as reason:
                found.miss(start.contender.label, f"{work.name} {way}", reason)
                continue
            aim = Aim(start.server, way.door == "grpc", asked, work.callers, reply.size)
            yield Cell(start.contender, work, way, aim, reply.seconds)


def _failure(cell: Cell) -> dict[str, str]:
    return {"server": cell.contender.label, "what": f"{cell.work.name} {cell.way}", "why": cell.failure[:1500]}


if __name__ == "__main__":
    main()
