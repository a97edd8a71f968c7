"""``docs/speed.md``: the goals, bar charts, all rows, start-up and memory, as the last full run found them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.bars import Bar, chart
from bench.contenders import OURS, REFERENCE
from bench.report import markdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_DOCS = Path(__file__).parents[1] / "docs"
_PAGE, _CHARTS = _DOCS / "speed.md", _DOCS / "charts"
_DOORS = {"grpc": "gRPC", "rest": "REST"}
_HEAD = """# Speed

Written by `just bench --full`; how it measures is in [bench.md](bench.md). All rounds, versions and settings are in
`bench/results/latest.json`."""
# Which bare servers a door is held against where one row is asked by many.
_ECHOES = {"grpc": ("HTTP/2", "grpc.aio"), "rest": ("HTTP/1.1",)}
_ECHOED = ("W1c64", "W3")

Result = dict[str, Any]


def summary(result: Result) -> str:
    """The rows and the goals, readable as plain text too."""
    parts = [_rows(result["rows"])] if result["rows"] else ["nothing was measured"]
    if result["goals"]:
        parts.append(_goals(result["goals"]))
    if result["starts"]:
        parts.append(_starts(result["starts"]))
    return "\n\n".join(parts)


def write(result: Result) -> Path:
    """The page and its charts anew."""
    _CHARTS.mkdir(exist_ok=True)
    for old in _CHARTS.glob("speed-*.svg"):
        old.unlink()
    pictures = "\n\n".join(_pictures(result))
    _PAGE.write_text(_text(result, pictures))
    return _PAGE


def _text(result: Result, pictures: str) -> str:
    machine, settings = result["machine"], result["settings"]
    told = [_HEAD]
    told.append(
        f"Medians of {settings['rounds']} rounds in which the servers took turns, {settings['seconds']:g} s each "
        "(of the peers but seldon-core half of that), "
        f"{result['when'][:10]}, commit {settings['commit']}, {machine['cores']} cores ({machine['processor']}), "
        f"Python {machine['python']}, load {machine['load_before']:g} before it began. *Per core-s* is answers per "
        "second of CPU time of all of a server's processes; × is against seldon-core at the same work and door, in the "
        "same encoding where it has it, else in its usual one (tensor over gRPC, ndarray over REST)."
    )
    told.append("Works: " + "; ".join(f"**{name}** {says}" for name, says in result["works"].items()) + ".")
    told.append("## Goals\n\n" + _goals(result["goals"]))
    told.append("## Charts\n\n" + pictures)
    told.append("## All rows\n\n" + _rows(result["rows"]))
    told.append("## Start and memory\n\n" + _starts(result["starts"]))
    told.append("## How each was set up\n\n" + _setups(result))
    if result.get("limits"):
        told.append("## Limits\n\n" + _LIMITS + _limits_table(result["limits"]))
    if result["missing"]:
        told.append("## Not measured\n\n" + _missing(result["missing"]))
    return "\n\n".join(told) + "\n"


def _goals(goals: Sequence[Mapping[str, Any]]) -> str:
    head = ("work", "ours", "beside", "figure", "wanted", "found", "")
    lines = [
        (
            goal["work"],
            goal["ours"],
            goal["beside"],
            _FIGURES[goal["figure"]],
            f"≥ {goal['least']:g}" if "least" in goal else f"≤ {goal['most']:g}",
            f"{goal['found']:.3g}" if goal["found"] < 1000 else f"{goal['found']:,.0f}",
            "reached" if goal["reached"] else "**missed**",
        )
        for goal in goals
    ]
    return markdown([head, *lines])


_FIGURES = {"per_core": "per core-s", "p50_ms": "p50", "loaded_mb": "memory after load", "seconds": "first answer"}


def _rows(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ("work", "door", "protocol", "encoding", "server", "requests/s", "per core-s", "×", "p50 ms", "p99 ms", "MB")
    return markdown([head, *(_line(row) for row in sorted(rows, key=_order))])


def _order(row: Mapping[str, Any]) -> tuple[str, str, float]:
    return row["work"], row["door"], -row["per_core"]


def _line(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row["work"],
        row["door"],
        row["protocol"],
        row["encoding"],
        row["server"],
        _number(row["rps"]),
        _number(row["per_core"]),
        f"{row['times_per_core']:.3g}" if "times_per_core" in row else "",
        f"{row['p50_ms']:.2f}",
        f"{row['p99_ms']:.2f}",
        f"{row['pss_mb']:.0f}",
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _starts(starts: Sequence[Mapping[str, Any]]) -> str:
    head = ("server", "model", "first answer, s", "import and load, s", "MB idle", "MB after the load", "CPU idle, %")
    lines = [
        (
            row["server"],
            row["model"],
            f"{row['seconds']:.2f}",
            f"{row['import_and_load_seconds']:.2f}",
            f"{row['idle_mb']:.0f}",
            f"{row['loaded_mb']:.0f}" if row["loaded_mb"] else "",
            f"{100 * row['idle_cpu']:.0f}",
        )
        for row in starts
    ]
    return markdown([head, *lines])


def _setups(result: Result) -> str:
    lines = []
    for name, versions in result["versions"].items():
        packages = ", ".join(f"{package} {version}" for package, version in versions.items())
        says = result["setups"].get(name, "")
        lines.append(f"- **{name}**: {packages}{f'; {says}' if says else ''}")
    return "\n".join(lines)


_LIMITS = """What this machine and this Python allow: servers that send back what they got and do nothing else,
onnxruntime alone, and our service asked in its own process, without a door. Calls (of onnxruntime alone: rows) per
second of CPU time.

"""


def _limits_table(limits: Sequence[Mapping[str, Any]]) -> str:
    head = ("limit", "of what", "per core-s")
    return markdown([head, *((row["limit"], row["says"], _number(row["per_core"])) for row in limits)])


def _limits(result: Result, work: str, door: str) -> Iterable[Bar]:
    """The limits that the bars of a chart are to be seen beside."""
    for row in result.get("limits", ()):
        echo = work in _ECHOED and row["limit"].startswith("bare") and row["limit"].endswith(_ECHOES[door])
        if echo or row["says"].startswith(f"{work},"):
            kind = f" as {row['says'].split(' as ')[1].split(',')[0]}" if " as " in row["says"] else ""
            yield Bar(f"{row['limit']}{kind}", row["per_core"], _number(row["per_core"]), "limit")


def _missing(missing: Iterable[Mapping[str, str]]) -> str:
    return "\n".join(f"- {each['server']}, {each['what']}: {_last_line(each['why'])}" for each in missing)


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")[:300]


def _pictures(result: Result) -> Iterable[str]:
    for work, says in result["works"].items():
        for door, title in _DOORS.items():
            rows = [row for row in result["rows"] if (row["work"], row["door"]) == (work, door)]
            if rows:
                bars = sorted([*map(_bar, rows), *_limits(result, work, door)], key=lambda bar: -bar.value)
                heading = f"{work}, {title}: answers per second of the server's CPU time"
                yield _picture(
                    f"speed-{work.lower()}-{door}", f"{says}, {title}", chart(heading, bars, logarithmic=True)
                )
    starts = [row for row in result["starts"] if row["model"] == "iris"]
    if starts:
        memory = [_plain(row, row["loaded_mb"] or row["idle_mb"], "MB") for row in starts]
        seconds = [_plain(row, row["seconds"], "s") for row in starts]
        yield _picture("speed-memory", "memory", chart("Memory after the load, iris", memory))
        yield _picture(
            "speed-start", "start", chart("From the start to the first answer, iris", seconds, logarithmic=True)
        )


def _picture(name: str, title: str, svg: str) -> str:
    (_CHARTS / f"{name}.svg").write_text(svg)
    return f"![{title}](charts/{name}.svg)"


def _bar(row: Mapping[str, Any]) -> Bar:
    name = f"{row['server']} · {row['protocol']} {row['encoding']}"
    times = f" (×{row['times_per_core']:.3g})" if "times_per_core" in row else ""
    return Bar(name, row["per_core"], _number(row["per_core"]) + times, _kind(row["server"]))


def _plain(row: Mapping[str, Any], value: float, unit: str) -> Bar:
    return Bar(
        row["server"], value, f"{value:,.0f} {unit}" if unit == "MB" else f"{value:.2f} {unit}", _kind(row["server"])
    )


def _kind(server: str) -> str:
    if server.startswith(OURS):
        return "ours"
    return "reference" if server.startswith(REFERENCE) else "theirs"
