"""What is kept of a run: medians of the rounds, how many times seldon-core, machine and versions."""

from __future__ import annotations

import json
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import psutil
from bench.contenders import ALL, REFERENCE
from tests.peers.environments import environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bench.rounds import Cell, Round
    from bench.starts import Start

RESULTS = Path(__file__).with_name("results")
_FIGURES = ("rps", "server_cpu", "client_cpu", "per_core", "p50_ms", "p99_ms", "pss_mb")
# What seldon-core is asked where it does not have the encoding of another.
_USUAL = {"grpc": "tensor", "rest": "ndarray"}

Row = dict[str, Any]


def rows_of(cells: Iterable[Cell]) -> list[Row]:
    """One row for each contender, work and way, with the medians and all rounds."""
    rows = [_row(cell) for cell in cells if cell.rounds and not cell.failure]
    for row in rows:
        other = reference(row, rows)
        if other is not None:
            row["times_rps"] = _ratio(row["rps"], other["rps"])
            row["times_per_core"] = _ratio(row["per_core"], other["per_core"])
            row["times_p50"] = _ratio(row["p50_ms"], other["p50_ms"])
    return rows


def _row(cell: Cell) -> Row:
    row: Row = {
        "server": cell.contender.label,
        "door": cell.way.door,
        "protocol": cell.way.protocol,
        "encoding": cell.way.encoding,
        "work": cell.work.name,
    }
    for name in _FIGURES:
        row[name] = round(median(getattr(one, name) for one in cell.rounds), 4)
    row["rounds"] = len(cell.rounds)
    row["each_round"] = [_figures(one) for one in cell.rounds]
    return row


def _figures(one: Round) -> dict[str, float]:
    return {name: round(getattr(one, name), 4) for name in _FIGURES}


def reference(row: Mapping[str, Any], rows: Iterable[Row]) -> Row | None:
    """seldon-core at the same work and door: in the same encoding, else in the one that is usual there."""
    there = [one for one in rows if one["server"] == REFERENCE and _cell(one) == _cell(row)]
    for encoding in (row["encoding"], _USUAL[row["door"]]):
        for one in there:
            if one["encoding"] == encoding:
                return one
    return None


def _cell(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["work"], row["door"]


def _ratio(one: float, other: float) -> float:
    return round(one / other, 3) if other else 0.0


def starts_of(starts: Iterable[Start], cells: Sequence[Cell], bare: Mapping[str, float]) -> list[Row]:
    """One row for each contender and model: start-up, and memory before and after the load."""
    rows = []
    for start in starts:
        loaded = [
            one.pss_mb
            for cell in cells
            if cell.contender is start.contender and cell.work.model == start.model
            for one in cell.rounds
        ]
        rows.append(
            {
                "server": start.contender.name,
                "model": start.model,
                "seconds": round(median(start.seconds), 3),
                "each_start": [round(second, 3) for second in start.seconds],
                "import_and_load_seconds": round(bare[start.model], 3),
                "idle_mb": round(start.idle_mb, 1),
                "loaded_mb": round(max(loaded), 1) if loaded else None,
                "idle_cpu": round(start.idle_cpu, 3),
            }
        )
    return rows


def write(result: Mapping[str, Any], path: Path) -> None:
    """Keep it at ``path``."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def about(names: Iterable[str]) -> dict[str, Any]:
    """When, where, and the versions of all that took part."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {
            one.label: _versions(one.peer, tuple(one.packages)) for one in ALL if one.name in names and one.packages
        },
    }


def commit() -> str:
    """What is measured; asked before it is, as the code may change meanwhile."""
    asked = ["git", "-C", str(RESULTS.parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def machine() -> dict[str, Any]:
    return {
        "cores": psutil.cpu_count(),
        "processor": _processor(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "load_before": round(psutil.getloadavg()[0], 2),
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


@cache
def _versions(peer: str, names: tuple[str, ...]) -> dict[str, str]:
    if not peer:
        return {name: _own_version(name) for name in names} | {"python": platform.python_version()}
    # Which protobuf seldon-core has decides more than anything else.
    ask = f"""
import json, platform
from importlib.metadata import version
found = {{name: version(name) for name in {names!r}}} | {{"python": platform.python_version()}}
if "protobuf" in found:
    from google.protobuf.internal import api_implementation
    found["protobuf runs in"] = api_implementation.Type()
print(json.dumps(found))
"""
    done = subprocess.run([environment(peer), "-c", ask], capture_output=True, text=True, check=False)
    return dict(json.loads(done.stdout)) if done.returncode == 0 else {"unknown": done.stderr[-200:]}


def _own_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def markdown(lines: Sequence[tuple[str, ...]]) -> str:
    """A table with its first line as the head."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    rule = tuple("-" * width for width in widths)
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in (lines[0], rule, *lines[1:])
    )
