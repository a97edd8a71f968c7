"""What is made of measured rounds: rows, ratios, goals, the page."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bench import goals, page, report
from bench.contenders import ALL
from bench.load import Aim
from bench.rounds import Cell, Round
from bench.ways import Question, Way
from bench.works import WORKS
from tests.peers.servers import Server

if TYPE_CHECKING:
    from pathlib import Path

_FIELDS = {
    "server",
    "door",
    "protocol",
    "encoding",
    "work",
    "rps",
    "server_cpu",
    "p50_ms",
    "p99_ms",
    "pss_mb",
    "rounds",
}
_TENSOR, _RAW = Way("grpc", "seldon", "tensor"), Way("grpc", "v2", "raw")


def _cell(name: str, work: str, way: Way, rates: list[float], *, failure: str = "") -> Cell:
    contender = next(each for each in ALL if each.name == name)
    asked = Question("/", b"", lambda reply, _: np.frombuffer(reply))
    aim = Aim(Server("", "", 1), way.door == "grpc", asked, 1, 1)
    cell = Cell(contender, next(each for each in WORKS if each.name == work), way, aim, 0.001)
    cell.rounds = [Round(rate, 0.5, 0.1, 1000 / rate, 2000 / rate, 80.0) for rate in rates]
    cell.failure = failure
    return cell


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return report.rows_of(
        [
            _cell("seldon-core", "W1c64", _TENSOR, [1000, 900, 5000]),
            _cell("penstock", "W1c64", _TENSOR, [13000, 11000, 14000]),
            _cell("penstock", "W1c64", _RAW, [20000, 21000, 22000]),
            _cell("kserve", "W1c64", _RAW, [1500, 1500, 1500]),
            _cell("mlserver", "W1c64", _RAW, [1500], failure="the server ended"),
        ]
    )


def test_a_row_has_what_readers_of_the_file_look_for(rows: list[dict[str, Any]]) -> None:
    assert all(row.keys() >= _FIELDS for row in rows)
    first = rows[0]
    assert (first["server"], first["door"], first["work"], first["rps"], first["rounds"]) == (
        "seldon-core",
        "grpc",
        "W1c64",
        1000,
        3,
    )
    assert first["per_core"] == 2000


def test_a_cell_that_failed_is_no_row(rows: list[dict[str, Any]]) -> None:
    assert [row["server"] for row in rows] == ["seldon-core", "penstock", "penstock", "kserve"]


def test_ratios_are_against_seldon_core_at_the_same_door(rows: list[dict[str, Any]]) -> None:
    assert [row["times_per_core"] for row in rows] == [1, 13, 21, 1.5]


def test_goals_tell_what_was_reached(rows: list[dict[str, Any]]) -> None:
    starts = [
        {"server": "seldon-core", "model": "iris", "seconds": 3, "import_and_load_seconds": 0.2, "loaded_mb": 300},
        {"server": "penstock", "model": "iris", "seconds": 0.5, "import_and_load_seconds": 0.2, "loaded_mb": 90},
    ]
    found = {(goal["ours"], goal["beside"], goal["figure"]): goal for goal in goals.reached(rows, starts)}
    tensor = found["grpc seldon tensor", "seldon-core grpc seldon tensor", "per_core"]
    assert (tensor["least"], tensor["found"], tensor["reached"]) == (12, 13, True)
    assert found["grpc v2 raw", "kserve grpc v2 raw", "per_core"]["found"] == 14
    assert found["", "seldon-core", "loaded_mb"]["reached"]
    assert not found["", "import of onnxruntime and loading", "seconds"]["reached"]


def test_the_page_shows_what_was_measured(
    rows: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "_PAGE", tmp_path / "speed.md")
    monkeypatch.setattr(page, "_CHARTS", tmp_path / "charts")
    result = report.about(["penstock"]) | {
        "settings": {"rounds": 3, "seconds": 2.0, "commit": "abc"},
        "works": {"W1c64": "iris"},
        "setups": {},
        "goals": goals.reached(rows, []),
        "rows": rows,
        "starts": [],
        "limits": [{"limit": "bare echo, asyncio, HTTP/2", "says": "one row", "per_core": 80000.0}],
        "missing": [{"server": "ray-serve", "what": "everything", "why": "a long log\nno Python 3.12 here\n"}],
    }
    text = page.write(result).read_text()
    assert "| W1c64 | grpc | v2       | raw      | penstock    | 21,000     | 42,000     | 21  |" in text
    assert "- ray-serve, everything: no Python 3.12 here" in text
    (picture,) = (tmp_path / "charts").glob("*.svg")
    drawn = ET.fromstring(picture.read_text())
    words = " ".join(drawn.itertext())
    assert "42,000 (×21)" in words
    assert "bare echo, asyncio, HTTP/2" in words
