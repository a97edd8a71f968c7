"""Environments of their own for foreign servers and clients, built when they are not there.

What goes into one is in ``pins/NAME.txt``: every package with its version, and in the first line the Pythons that it
runs on, the preferred one first. The folder's name has a digest of all that, so other pins are another environment.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.deploy.folders import cache_folder
from penstock.deploy.locks import alone

if TYPE_CHECKING:
    from collections.abc import Iterator

PINS = Path(__file__).parent / "pins"
_INSTALL_SECONDS = 900


class NoPython(Exception):  # noqa: N818  (a reason to skip, not a failure)
    """None of the Pythons that a peer runs on is on this machine."""


def environment(name: str, pins: Path = PINS) -> Path:
    """The Python of the environment ``name``, after building it if need be; processes that ask at once share it.

    Raises:
        NoPython: no Python of a suitable version is here.
        subprocess.CalledProcessError: the installation failed; its output is on stderr.
    """
    requirements = pins / f"{name}.txt"
    python = _suitable_python(requirements)
    key = hashlib.sha256(requirements.read_bytes() + _version(python).encode()).hexdigest()[:12]
    folder = cache_folder() / "peers" / f"{name}-{key}"
    finished = folder / ".finished"
    with alone(folder.with_suffix(".lock")):
        if not finished.exists():
            shutil.rmtree(folder, ignore_errors=True)  # one that was killed half-way
            _build(folder, python, requirements)
            finished.touch()
    return folder / "bin" / "python"


def _suitable_python(requirements: Path) -> str:
    first = requirements.read_text().splitlines()[0]
    wanted = first.removeprefix("# python").split()
    for version in wanted:
        for python in _candidates(version):
            if _version(python) == version:
                return python
    raise NoPython(f"{requirements.stem} runs on Python {', '.join(wanted)}, and none of them is here")


def _candidates(version: str) -> Iterator[str]:
    """Commands that may be this version: this Python, one on the PATH, one of pyenv's, one of uv's own."""
    yield sys.executable
    if found := shutil.which(f"python{version}"):
        yield found
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True))
    if uv := _uv():
        find = [*uv, "python", "find", "--no-python-downloads", "--no-project", version]
        yield subprocess.run(find, capture_output=True, text=True, check=False).stdout.strip() or sys.executable


def _version(python: str) -> str:
    """As ``3.11``; empty where the command does not run, as a version manager's stand-in for one not installed."""
    if python == sys.executable:
        return "{}.{}".format(*sys.version_info)
    ask = [python, "-c", "import sys; print('{}.{}'.format(*sys.version_info))"]
    return subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()


def _build(folder: Path, python: str, requirements: Path) -> None:
    uv = _uv()
    inside = str(folder / "bin" / "python")
    if uv:
        _run([*uv, "venv", "--quiet", "--python", python, str(folder)], folder.parent)
        # Compiled now, as pip does it, so that a first start takes no longer than the next one.
        install = ["pip", "install", "--quiet", "--compile-bytecode", "--python", inside, "-r", str(requirements)]
        _run([*uv, *install], folder.parent)
    else:
        _run([python, "-m", "venv", str(folder)], folder.parent)
        _run([inside, "-m", "pip", "install", "--quiet", "-r", str(requirements)], folder.parent)


def _uv() -> list[str]:
    if found := shutil.which("uv"):
        return [found]
    return [sys.executable, "-m", "uv"] if find_spec("uv") else []


def _run(command: list[str], folder: Path) -> None:
    # Not in the project's folder: there uv would apply the project's own constraints to the peer.
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(command, cwd=folder, check=True, timeout=_INSTALL_SECONDS)
