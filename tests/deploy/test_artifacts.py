"""Fetching pinned files, with everything that can go wrong on the way."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from penstock.deploy.artifacts import fetch
from penstock.deploy.pins import as_toml, read_pins
from penstock.deploy.ports import free_port
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Repository

# jgo does not close an answer that is not 200; the collector does, while the test still runs (see the fixture).
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

FETCH = "import sys, pathlib; from penstock.deploy.artifacts import fetch; print(fetch(pathlib.Path(sys.argv[1])))"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def jars(tmp_path: Path) -> list[Path]:
    """All of them, trusted or not."""
    return [path for path in (tmp_path / "cache").rglob("part?-*.jar") if path.is_file()]


def fetching(lock: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", FETCH, str(lock)], stdout=subprocess.PIPE, text=True)


def cached(tmp_path: Path) -> list[str]:
    """Names of all trusted files in the cache."""
    return sorted(path.name for folder in (tmp_path / "cache" / "maven").glob("*-*/") for path in folder.glob("*.jar"))


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_exactly_the_pinned_files_arrive_and_are_asked_for_once(repository: Repository) -> None:
    folder = fetch(repository.lock)
    assert content(folder) == repository.files
    assert fetch(repository.lock) == folder
    assert {name: repository.asked[name] for name in repository.files} == dict.fromkeys(repository.files, 1)


def test_a_full_cache_needs_no_network(repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fetch(repository.lock)
    unreachable(monkeypatch, tmp_path)
    fetch(repository.lock)


def test_another_content_is_refused_and_deleted(repository: Repository, tmp_path: Path) -> None:
    size = len(repository.files["part2-1.2.jar"])
    repository.files["part2-1.2.jar"] = b"x" * size
    with pytest.raises(SetupError, match=r"part2-1\.2\.jar .*SHA-256 is not the pinned .*deleted") as caught:
        fetch(repository.lock)
    assert caught.value.code == "DIGEST_MISMATCH"
    assert "part2-1.2.jar" not in cached(tmp_path)
    assert not [path for path in (tmp_path / "cache").rglob("part2*") if path.is_file()]


def test_a_damaged_file_is_fetched_again(repository: Repository) -> None:
    folder = fetch(repository.lock)
    (folder / "part1-1.1.jar").write_bytes(repository.files["part1-1.1.jar"][:-1])
    (folder / "part3-1.3.jar").unlink()
    assert content(fetch(repository.lock)) == repository.files
    assert [repository.asked[f"part{n}-1.{n}.jar"] for n in (1, 2, 3)] == [2, 1, 2]


@pytest.mark.parametrize("trouble", ["failures", "cuts"])
def test_a_failure_that_passes_is_not_noticed(repository: Repository, trouble: str) -> None:
    getattr(repository, trouble)["part1-1.1.jar"] = 1
    getattr(repository, trouble)["part3-1.3.jar"] = 2
    assert content(fetch(repository.lock)) == repository.files


def test_a_failure_that_stays_names_file_and_repository(repository: Repository, tmp_path: Path) -> None:
    del repository.files["part3-1.3.jar"]
    with pytest.raises(SetupError, match=r"part3-1\.3\.jar .* from http://127\.0\.0\.1:\d+: no repository has it"):
        fetch(repository.lock)
    assert "part3-1.3.jar" not in cached(tmp_path)


def test_without_network_it_says_what_was_tried_and_what_to_do(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = unreachable(monkeypatch, tmp_path)
    with pytest.raises(SetupError, match=rf"{address}: the connection is refused .*network.*HTTPS_PROXY") as caught:
        fetch(repository.lock)
    assert caught.value.code == "CANNOT_FETCH"


def unreachable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Point jgo to a port where nobody listens."""
    address = f"http://127.0.0.1:{free_port()}"
    (tmp_path / "nowhere.conf").write_text(f"[repositories]\ncentral = {address}\n")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(tmp_path / "nowhere.conf"))
    return address


def test_a_killed_download_leaves_no_half_file(repository: Repository, tmp_path: Path) -> None:
    repository.hold.clear()
    process = fetching(repository.lock)
    until(lambda: sum(repository.asked.values()) == 3)
    until(lambda: len(jars(tmp_path)) == 3)
    process.kill()
    process.communicate()
    assert cached(tmp_path) == []
    repository.hold.set()
    folder = fetch(repository.lock)
    assert content(folder) == repository.files
    assert {path.parent for path in jars(tmp_path)} == {folder}


def test_ctrl_c_ends_it_in_the_middle_of_files(repository: Repository, tmp_path: Path) -> None:
    repository.hold.clear()
    process = fetching(repository.lock)
    until(lambda: sum(repository.asked.values()) == 3)
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    repository.hold.set()
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert cached(tmp_path) == []


def test_two_at_once_share_one_download(repository: Repository) -> None:
    repository.hold.clear()
    both = [fetching(repository.lock) for _ in range(2)]
    until(lambda: sum(repository.asked.values()) >= 3)
    time.sleep(0.5)
    repository.hold.set()
    folders = {process.communicate(timeout=60)[0] for process in both}
    assert len(folders) == 1
    assert [process.returncode for process in both] == [0, 0]
    assert {name: repository.asked[name] for name in repository.files} == dict.fromkeys(repository.files, 1)


def test_a_pipe_gets_a_few_plain_lines(repository: Repository) -> None:
    out = io.StringIO()
    fetch(repository.lock, console=Console(file=out, width=200))
    lines = out.getvalue().splitlines()
    assert lines[0] == "fetching Parts 1: 3 files, 1.2 MB"
    assert lines[-1] == "fetched Parts 1"
    assert 2 < len(lines) <= 6
    assert "\x1b" not in out.getvalue()


def test_a_terminal_gets_a_bar(repository: Repository) -> None:
    out = io.StringIO()
    fetch(repository.lock, console=Console(file=out, width=120, force_terminal=True))
    assert "3/3 files" in out.getvalue()
    assert "1.2/1.2 MB" in out.getvalue()


def test_nothing_is_said_when_nothing_is_fetched(repository: Repository) -> None:
    fetch(repository.lock)
    out = io.StringIO()
    fetch(repository.lock, console=Console(file=out))
    assert out.getvalue() == ""


def test_a_cache_that_cannot_be_written_is_named(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PENSTOCK_CACHE", str(tmp_path / "file"))
    with pytest.raises(SetupError, match=r"cannot write to .*/file/maven.*PENSTOCK_CACHE"):
        fetch(repository.lock)


def test_what_is_not_a_file_of_pins_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "pins.toml"
    for text in ("", "name = 1", 'name = "a"\nendpoint = "b"\nfiles = [{ at = "g:a:1", sha256 = "12", size = 1 }]'):
        broken.write_text(text)
        with pytest.raises(SetupError, match=r"pins\.toml is not a file of pinned artifacts"):
            read_pins(broken)


def test_the_pins_of_kafka_are_those_of_one_release() -> None:
    """Resolved without care, log4j's dependency management pulls kafka-clients back to 3.8 under a 4.1 broker."""
    path = files("penstock.deploy") / "resources" / "kafka.toml"
    pins = read_pins(path)
    assert {pin.version for pin in pins.files if pin.group == "org.apache.kafka"} == {"4.1.0"}
    assert {pin.version for pin in pins.files if pin.group.startswith("com.fasterxml.jackson")} == {"2.19.0"}
    assert len(pins.files) == len({pin.filename for pin in pins.files}) == 46
    assert as_toml(pins) == path.read_text()
