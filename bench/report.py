"""Results as JSON and as a table: medians of the rounds, and how many times seldon-core."""

from __future__ import annotations

import json
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import psutil
from tests.peers.environments import environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.rounds import Round
    from bench.works import Work

RESULTS = Path(__file__).with_name("results")
REFERENCE = "seldon-core"
_OURS = ("penstock", "grpcio", "uvicorn", "onnxruntime", "numpy", "protobuf", "orjson")
_THEIRS = ("seldon-core", "grpcio", "gunicorn", "flask", "onnxruntime", "numpy", "protobuf")


def rows_of(results: Mapping[tuple[Work, str], list[Round]]) -> list[dict[str, Any]]:
    """One row for each work and server, with the medians and all rounds."""
    rows = []
    for (work, server), rounds in results.items():
        row: dict[str, Any] = {"work": work.name, "door": work.door, "encoding": work.encoding, "server": server}
        for name in ("rps", "server_cpu", "per_core", "p50_ms", "p99_ms"):
            row[name] = round(median(getattr(one, name) for one in rounds), 3)
        row["rounds"] = [
            {
                "rps": round(one.rps, 1),
                "server_cpu": round(one.server_cpu, 3),
                "p50_ms": one.p50_ms,
                "p99_ms": one.p99_ms,
            }
            for one in rounds
        ]
        rows.append(row)
    return _with_ratios(rows)


def _with_ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    reference = {_cell(row): row for row in rows if row["server"] == REFERENCE}
    for row in rows:
        other = reference.get(_cell(row))
        if other is not None and other["rps"] and other["per_core"]:
            row["times_rps"] = round(row["rps"] / other["rps"], 2)
            row["times_per_core"] = round(row["per_core"] / other["per_core"], 2)
    return rows


def _cell(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["work"], row["door"], row["encoding"]


def table(rows: list[dict[str, Any]]) -> str:
    """As Markdown, readable as plain text too."""
    head = ("work", "door", "encoding", "server", "requests/s", "×", "per core-s", "×", "p50 ms", "p99 ms")
    return markdown([head, *map(_line, rows)])


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    rate, core = (f"{row[name]:,.0f}" if row[name] >= 100 else f"{row[name]:.1f}" for name in ("rps", "per_core"))
    p50, p99 = (f"{row[name]:.2f}" for name in ("p50_ms", "p99_ms"))
    times_rate, times_core = (f"{row[name]:g}" if name in row else "" for name in ("times_rps", "times_per_core"))
    return row["work"], row["door"], row["encoding"], row["server"], rate, times_rate, core, times_core, p50, p99


def markdown(lines: Sequence[tuple[str, ...]]) -> str:
    """A table with its first line as the head."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    rule = tuple("-" * width for width in widths)
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in (lines[0], rule, *lines[1:])
    )


def write(rows: list[dict[str, Any]], settings: Mapping[str, Any], peer: str | None, file: str) -> Path:
    """Keep them under ``bench/results``, with the machine, the settings and the versions, also those of ``peer``."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / file
    about = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {"penstock": {name: version(name) for name in _OURS}}
        | ({REFERENCE: _of_peer(peer)} if peer else {}),
        "settings": dict(settings),
        "rows": rows,
    }
    path.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    return path


def commit() -> str:
    """What is measured; asked before it is, as the code may change meanwhile."""
    asked = ["git", "-C", str(RESULTS.parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def machine() -> dict[str, Any]:
    return {
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "python": platform.python_version(),
    }


def _of_peer(peer: str) -> dict[str, str]:
    """What runs there, asked of its own Python; which protobuf it has decides more than anything else."""
    ask = f"""
import json, platform
from importlib.metadata import version
from google.protobuf.internal import api_implementation
print(json.dumps({{name: version(name) for name in {_THEIRS!r}}} | {{
    "python": platform.python_version(), "protobuf runs in": api_implementation.Type()}}))
"""
    done = subprocess.run([environment(peer), "-c", ask], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))
