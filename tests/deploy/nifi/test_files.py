"""What a home of NiFi is made of, without a NiFi."""

from __future__ import annotations

import hashlib
import itertools
import stat
import sys
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from penstock.deploy.nifi._assembly import Assembly
from penstock.deploy.nifi._home import prepare
from penstock.deploy.nifi._log import end_of, followed, last_lines
from penstock.deploy.pins import as_toml, read_pins
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def assembly(tmp_path: Path) -> Assembly:
    """As many files as it takes."""
    folder = tmp_path / "cache" / "a cache, for NiFi"
    made = {
        "python/framework/Controller.py": b"pass",
        "python/api/nifiapi/__init__.py": b"",
        "unpacked/framework/a.nar-unpacked/nar-digest": hashlib.sha256(b"a").digest(),
        "unpacked/extensions/b.nar-unpacked/NAR-INF/bundled-dependencies/b.jar": b"jar",
        "unpacked/extensions/b.nar-unpacked/nar-digest": hashlib.sha256(b"b").digest(),
    }
    for name, content in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return Assembly(folder, "2.3.0")


def settings(home: Path) -> dict[str, str]:
    """The properties as Java reads them: Latin-1, with escapes; a key that is there twice is an error in NiFi."""
    text = (home / "conf" / "nifi.properties").read_bytes().decode("latin-1")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    split = (line.encode("latin-1").decode("unicode_escape").partition("=") for line in lines)
    pairs = [(key.strip(), value.strip()) for key, _, value in split]
    assert len({key for key, _ in pairs}) == len(pairs)
    return dict(pairs)


def test_the_pins_are_one_release_and_each_is_needed_once() -> None:
    path = files("penstock.deploy") / "resources" / "nifi.toml"
    pins = read_pins(path)
    assert {pin.version for pin in pins.files if pin.group == "org.apache.nifi"} == {"2.3.0"}
    assert len(pins.files) == len({pin.filename for pin in pins.files}) == 147
    assert sum(pin.packaging == "nar" for pin in pins.files) == 15
    assert [str(pin) for pin in pins.files] == sorted(str(pin) for pin in pins.files)
    assert as_toml(pins) == path.read_text()


def test_a_home_has_its_port_the_cache_and_this_python(tmp_path: Path, assembly: Assembly) -> None:
    home = tmp_path / "home"
    prepare(home, assembly, port=12345)
    found = settings(home)
    assert (found["nifi.web.http.host"], found["nifi.web.http.port"]) == ("127.0.0.1", "12345")
    assert found["nifi.nar.library.directory"] == str(assembly.nars)
    assert found["nifi.python.command"] == sys.executable
    assert (home / "python" / "framework" / "Controller.py").read_bytes() == b"pass"


def test_secrets_are_made_once_and_nobody_else_can_read_them(tmp_path: Path, assembly: Assembly) -> None:
    for port in (1, 2):
        prepare(tmp_path / "home", assembly, port=port)
    prepare(tmp_path / "other", assembly, port=1)
    keys = [settings(tmp_path / name)["nifi.sensitive.props.key"] for name in ("home", "other")]
    assert keys[0] != keys[1]
    assert min(map(len, keys)) >= 32
    assert (tmp_path / "home" / "conf" / "sensitive.key").read_text() == keys[0]
    for name in ("sensitive.key", "nifi.properties"):
        assert stat.S_IMODE((tmp_path / "home" / "conf" / name).stat().st_mode) == 0o600


def test_own_lines_win_and_survive(tmp_path: Path, assembly: Assembly) -> None:
    home = tmp_path / "home"
    prepare(home, assembly, port=1)
    (home / "conf" / "own.properties").write_text(
        "# mine\nnifi.queue.backpressure.count = 7\nnifi.ui.banner.text=Prüfstand 🧪\nmy.own=1\n", encoding="utf-8"
    )
    (home / "conf" / "nifi.properties").write_text("lost=1\n")
    prepare(home, assembly, port=2)
    found = settings(home)
    assert found["nifi.queue.backpressure.count"] == "7"
    assert found["nifi.ui.banner.text"].encode("utf-16", "surrogatepass").decode("utf-16") == "Prüfstand 🧪"
    assert found["my.own"] == "1"
    assert "lost" not in found
    assert found["nifi.web.http.port"] == "2"


def test_unpacked_nars_are_shared_and_a_broken_one_is_replaced(tmp_path: Path, assembly: Assembly) -> None:
    jar = "extensions/b.nar-unpacked/NAR-INF/bundled-dependencies/b.jar"
    for name in ("one", "two"):
        prepare(tmp_path / name, assembly, port=1)
    ours = [tmp_path / name / "work" / "nar" / jar for name in ("one", "two")]
    assert {path.stat().st_ino for path in ours} == {(assembly.unpacked / jar).stat().st_ino}
    digest = ours[0].parents[2] / "nar-digest"
    digest.unlink()
    ours[0].unlink()
    prepare(tmp_path / "one", assembly, port=1)
    assert ours[0].read_bytes() == b"jar"
    assert digest.exists()


def test_a_folder_that_nifi_cannot_use_is_named(tmp_path: Path, assembly: Assembly) -> None:
    with pytest.raises(SetupError, match=r"other letters than ASCII in its path: .*Bücher") as caught:
        prepare(tmp_path / "Bücher", assembly, port=1)
    assert caught.value.code == "NIFI_FAILED"


def test_the_end_of_the_log_is_the_cause_of_this_start(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "nifi-app.log"
    log.parent.mkdir()
    before = "10:00 ERROR [main] x former failure\n"
    told = "11:01 ERROR [main] x failed\na.XException: z\n\tat b\nCaused by: java.E: y\n"
    log.write_text(f"{before}11:00 INFO [main] x starts\n{told}")
    assert end_of(tmp_path, since=len(before)) == told.replace("\tat b\n", "").rstrip()
    (tmp_path / "console.log").write_text("Error: no such class\n")
    assert end_of(tmp_path, since=len(before)).endswith("Error: no such class")
    log.write_text("12:00 INFO [main] new\n")  # shorter than before
    (tmp_path / "console.log").unlink()
    assert end_of(tmp_path, since=len(before)) == "12:00 INFO [main] new"
    log.unlink()
    assert end_of(tmp_path, since=0) == "(nothing)"


def test_a_log_is_followed_over_its_roll_over(tmp_path: Path) -> None:
    log = tmp_path / "nifi-app.log"
    log.write_text("1\n2\n3\n")
    assert list(last_lines(log, 2)) == ["2", "3"]
    lines = followed(log, 1)
    assert next(lines) == "3"
    with log.open("a") as file:
        file.write("4\n5\n")
    assert list(itertools.islice(lines, 2)) == ["4", "5"]
    with log.open("a") as file:
        file.write("last\n")
    log.rename(tmp_path / "old.log")
    log.write_text("first\n")
    assert list(itertools.islice(lines, 2)) == ["last", "first"]
