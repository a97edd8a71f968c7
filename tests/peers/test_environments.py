"""Environments for peers are built once, again when their pins change, and never left half-built."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.peers.environments import NoPython, environment

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.peers, pytest.mark.xdist_group("peers")]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENSTOCK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _pin(folder: Path, *lines: str, pythons: str = "3.11 3.12 3.13 3.14") -> Path:
    (folder / "small.txt").write_text("\n".join([f"# python {pythons}", *lines, ""]))
    return folder


def test_it_has_what_is_pinned_and_is_built_once(tmp_path: Path) -> None:
    python = environment("small", _pin(tmp_path, "six==1.16.0"))
    version = subprocess.check_output([python, "-c", "import six; print(six.__version__)"], text=True)
    assert version == "1.16.0\n"
    trace = python.parent / "trace"
    trace.touch()
    assert environment("small", tmp_path) == python
    assert trace.exists()


def test_other_pins_are_another_environment(tmp_path: Path) -> None:
    first = environment("small", _pin(tmp_path))
    assert environment("small", _pin(tmp_path, "# other")) != first


def test_one_that_was_killed_half_way_is_built_again(tmp_path: Path, cache: Path) -> None:
    python = environment("small", _pin(tmp_path))
    (python.parents[1] / ".finished").unlink()
    trace = python.parent / "trace"
    trace.touch()
    assert environment("small", tmp_path) == python
    assert not trace.exists()


def test_a_failed_installation_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        environment("small", _pin(tmp_path, "six==0.0.1"))


def test_no_suitable_python_is_a_reason_to_skip(tmp_path: Path) -> None:
    with pytest.raises(NoPython, match=r"runs on Python 2\.0"):
        environment("small", _pin(tmp_path, pythons="2.0"))
