"""The bundle as a NAR: a zip file with a manifest, to be dropped into NiFi's ``extensions`` folder or uploaded."""

from __future__ import annotations

import os
import sys
import time
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from penstock.deploy.nar._contents import DEPENDENCIES, NAR_GROUP, NAR_ID, built_for, contents, version

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MANIFEST: Final = "META-INF/MANIFEST.MF"
_EPOCH: Final = 1_767_225_600  # 2026-01-01, so that two builds are alike


def build(target_dir: Path) -> Path:
    """Write the NAR of what is installed now into a folder; returns its path.

    Its name tells what it fits: ``penstock-nifi-0.1.0-cp311-linux_x86_64.nar``. Its timestamps are fixed;
    ``SOURCE_DATE_EPOCH`` sets others.

    Args:
        target_dir: made with its parents; a NAR of the same name is replaced.

    Raises:
        SetupError: something that belongs into it is not installed here.
    """
    target_dir.mkdir(parents=True, exist_ok=True)
    path = target_dir / nar_name()
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            _write(archive)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def nar_name() -> str:
    """The file name of the NAR that this Python makes, with the tags of a wheel."""
    python = f"{'cp' if sys.implementation.name == 'cpython' else sys.implementation.name}"
    python += f"{sys.version_info.major}{sys.version_info.minor}"
    platform = built_for()["platform"].replace("-", "_").replace(".", "_")
    return f"{NAR_ID}-{version()}-{python}-{platform}.nar"


def _write(archive: zipfile.ZipFile) -> None:
    moment = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", _EPOCH)))
    files = {_MANIFEST: _manifest(moment)} | {entry.target: entry.read() for entry in contents()}
    for name in _in_order(files):
        info = zipfile.ZipInfo(name, moment[:6])
        info.external_attr = 0o40755 << 16 | 0x10 if name.endswith("/") else 0o100644 << 16
        info.compress_type = zipfile.ZIP_STORED if name.endswith("/") else zipfile.ZIP_DEFLATED
        archive.writestr(info, files.get(name, b""))


def _in_order(files: Iterable[str]) -> list[str]:
    """The manifest, the folders, and then the files in them, as NiFi 2.3 needs them.

    From the network NiFi reads the NAR as a stream, and looks for the manifest at its beginning only. It makes only
    those folders that have entries, and wants one before a file at the root: without, it unpacks nothing, reads no
    manifest, and skips later NARs too.
    """
    first = ["META-INF/", _MANIFEST]
    folders = {f"{parent}/" for name in files for parent in PurePosixPath(name).parents if parent.name}
    return [*first, *sorted({*folders, f"{DEPENDENCIES}/"} - {*first}), *sorted({*files} - {*first})]


def _manifest(moment: time.struct_time) -> bytes:
    lines = {
        "Manifest-Version": "1.0",
        "Nar-Id": NAR_ID,
        "Nar-Group": NAR_GROUP,
        "Nar-Version": version(),
        "Build-Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", moment),
    }
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode() + b"\r\n"
