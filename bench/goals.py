"""What the service is to reach beside its peers, and what it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.contenders import OURS, REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.report import Row


@dataclass(frozen=True, slots=True)
class Goal:
    """Our way of a work beside one of another server, in the same run.

    Attributes:
        work: its name.
        ours: door, protocol and encoding.
        theirs: server, door, protocol and encoding; none: the figure itself has the bound.
        figure: ``per_core`` is to be at least the bound, ``p50_ms`` at most.
        bound: times theirs, or the figure.
    """

    work: str
    ours: tuple[str, str, str]
    theirs: tuple[str, str, str, str] | None
    figure: str
    bound: float


def _same(work: str, door: str, encoding: str, bound: float, figure: str = "per_core") -> Goal:
    way = (door, "seldon", encoding)
    return Goal(work, way, (REFERENCE, *way), figure, bound)


GOALS = (
    _same("W1c1", "grpc", "tensor", 0.3, "p50_ms"),
    _same("W1c1", "rest", "ndarray", 0.2, "p50_ms"),
    _same("W1c64", "grpc", "tensor", 12),
    _same("W1c64", "rest", "ndarray", 25),
    _same("W2", "grpc", "tensor", 8),
    _same("W2", "grpc", "ndarray", 15),
    _same("W2", "rest", "ndarray", 6),
    Goal("W2", ("rest", "v2", "binary"), (REFERENCE, "rest", "seldon", "ndarray"), "per_core", 20),
    _same("W3", "grpc", "tensor", 12),
    _same("W3", "rest", "ndarray", 20),
    _same("W4", "grpc", "binData", 1.3),
    _same("W4", "grpc", "tensor", 2),
    _same("W4", "grpc", "ndarray", 100),
    _same("W4", "rest", "binData", 2),
    _same("W4", "rest", "tensor", 4),
    _same("W4", "rest", "ndarray", 6),
    Goal("W4", ("grpc", "v2", "raw"), ("kserve", "grpc", "v2", "raw"), "per_core", 1.3),
    Goal("W4", ("rest", "v2", "binary"), None, "per_core", 400),
)


def reached(rows: Sequence[Row], starts: Sequence[Row]) -> list[dict[str, Any]]:
    """Each goal for which both sides were measured."""
    found = [each for goal in GOALS if (each := _reached(goal, rows)) is not None]
    return [*found, *_ahead(rows), *_footprint(starts)]


def _reached(goal: Goal, rows: Sequence[Row]) -> dict[str, Any] | None:
    ours = _find(rows, goal.work, (OURS, *goal.ours))
    theirs = _find(rows, goal.work, goal.theirs) if goal.theirs else None
    if ours is None or (goal.theirs and theirs is None):
        return None
    value = ours[goal.figure] / theirs[goal.figure] if theirs else ours[goal.figure]
    return {
        "work": goal.work,
        "ours": " ".join(goal.ours),
        "beside": " ".join(goal.theirs) if goal.theirs else "",
        "figure": goal.figure,
        "least" if goal.figure == "per_core" else "most": goal.bound,
        "found": round(value, 3),
        "reached": value >= goal.bound if goal.figure == "per_core" else value <= goal.bound,
    }


def _find(rows: Iterable[Row], work: str, key: tuple[str, str, str, str]) -> Row | None:
    for row in rows:
        if row["work"] == work and (row["server"], row["door"], row["protocol"], row["encoding"]) == key:
            return row
    return None


def _ahead(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Our best way of each work beside each peer's best, through whichever door."""
    found = []
    for work in dict.fromkeys(row["work"] for row in rows):
        best: dict[str, Row] = {}
        for row in rows:
            if row["work"] == work and row["per_core"] >= best.get(row["server"], row)["per_core"]:
                best[row["server"]] = row
        ours = best.pop(OURS, None)
        if ours is None or not best:
            continue
        for name, theirs in best.items():
            if name.startswith(OURS):
                continue
            value = ours["per_core"] / theirs["per_core"]
            found.append(
                {
                    "work": work,
                    "ours": f"{ours['door']} {ours['protocol']} {ours['encoding']}",
                    "beside": f"{name} {theirs['door']} {theirs['protocol']} {theirs['encoding']}",
                    "figure": "per_core",
                    "least": 1.0,
                    "found": round(value, 3),
                    "reached": value > 1.0,
                }
            )
    return found


def _footprint(starts: Sequence[Row]) -> list[dict[str, Any]]:
    """Memory after the load below seldon-core's; the first answer within twice what the model's own loading takes."""
    found = []
    memory = {(row["server"], row["model"]): row["loaded_mb"] for row in starts}
    for row in starts:
        if row["server"] != OURS:
            continue
        theirs = memory.get((REFERENCE, row["model"]))
        if theirs and row["loaded_mb"]:
            found.append(_most(row, "loaded_mb", REFERENCE, 1.0, row["loaded_mb"] / theirs))
        times = row["seconds"] / row["import_and_load_seconds"]
        found.append(_most(row, "seconds", "import of onnxruntime and loading", 2.0, times))
    return found


def _most(row: Row, figure: str, beside: str, most: float, value: float) -> dict[str, Any]:
    return {
        "work": row["model"],
        "ours": "",
        "beside": beside,
        "figure": figure,
        "most": most,
        "found": round(value, 3),
        "reached": value < most,
    }
