"""The files of a NiFi's folder, written at each start; what is the user's own in it stays.

- ``conf/own.properties`` wins over what is written here, line by line; ``conf/sensitive.key`` is made once.
- ``extensions`` (NARs) and ``python/extensions`` (.py files) are for the user's own processors.
- The flow (``conf/flow.json.gz``), the repositories and ``state`` belong to NiFi.
- ``python/framework``, ``python/api`` and ``work`` can be deleted while NiFi is stopped.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from string import Template
from typing import TYPE_CHECKING

from penstock.deploy.folders import RESOURCES
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.deploy.nifi._assembly import Assembly

_FILES = ("authorizers.xml", "logback.xml", "login-identity-providers.xml", "state-management.xml")


def prepare(folder: Path, assembly: Assembly, *, port: int) -> None:
    """Write what NiFi reads when it starts.

    Raises:
        SetupError: NiFi cannot run in this folder.
    """
    _check_path(folder, assembly.folder)
    for name in ("conf", "extensions", "logs", "python/extensions"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in ("framework", "api"):
        shutil.rmtree(folder / "python" / name, ignore_errors=True)
        shutil.copytree(assembly.python / name, folder / "python" / name)
    _link_unpacked(assembly.unpacked, folder / "work" / "nar")
    for name in _FILES:
        (folder / "conf" / name).write_text((RESOURCES / "nifi" / name).read_text())
    _write_properties(folder / "conf", port=port, key=_key(folder / "conf"), nars=assembly.nars)


def _check_path(*folders: Path) -> None:
    # Its web server makes addresses of them without escapes, and Java does not take those ("Bad escape").
    for folder in folders:
        if not str(folder.resolve()).isascii():
            raise SetupError(
                f"NiFi does not start in a folder that has other letters than ASCII in its path: {folder}. "
                "Choose another data folder, and another cache with PENSTOCK_CACHE where that has them.",
                code="NIFI_FAILED",
            )


def _key(conf: Path) -> str:
    path = conf / "sensitive.key"
    if not path.exists():
        _write_private(path, secrets.token_urlsafe(32))
    return path.read_text().strip()


def _write_properties(conf: Path, *, port: int, key: str, nars: Path) -> None:
    template = Template((RESOURCES / "nifi" / "nifi.properties").read_text())
    text = template.substitute(port=port, key=key, nars=_escaped(str(nars)), python=_escaped(sys.executable))
    own = conf / "own.properties"
    lines = own.read_text(encoding="utf-8").splitlines() if own.exists() else []
    # NiFi refuses a file that gives a key twice.
    theirs = {line.partition("=")[0].strip() for line in lines if "=" in line}
    kept = [line for line in text.splitlines() if line.partition("=")[0].strip() not in theirs]
    _write_private(conf / "nifi.properties", _ascii("\n".join([*kept, *lines, ""])))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\")


def _ascii(text: str) -> str:
    # Java reads properties as Latin-1, and knows \uXXXX.
    units = text.encode("utf-16-be")
    codes = (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    return "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes)


def _write_private(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    part.replace(path)


def _link_unpacked(source: Path, target: Path) -> None:
    for nar in source.glob("*/*"):
        place = target / nar.relative_to(source)
        if not (place / "nar-digest").exists():
            part = place.with_name(f"{place.name}.part")
            for old in (place, part):
                shutil.rmtree(old, ignore_errors=True)
            shutil.copytree(nar, part, copy_function=_link_or_copy)
            part.replace(place)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
