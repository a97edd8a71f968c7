"""Puts the published files of NiFi together, once, in the cache: the official download is not on Maven Central.

1. The pinned files are fetched, see `penstock.deploy.artifacts`. Jars for the JVM's class path, and NARs, are linked.
2. Two NARs are published as their jars only; they are zipped under their official coordinates, so that flows that
   use their processors work on any NiFi.
3. NARs are unpacked the way NiFi does it, so that a home can link to the files instead of unpacking 200 MB.
4. All of this happens in a staging folder that is renamed at the end: half of it is never taken for the whole.

A change of the pins, or of what is done with them (`_FORM`), makes another folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.deploy.artifacts import fetch
from penstock.deploy.folders import RESOURCES, cache_folder
from penstock.deploy.locks import alone
from penstock.deploy.pins import read_pins
from penstock.deploy.progress import during
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rich.console import Console

    from penstock.deploy.pins import Pin, Pins

PINS = RESOURCES / "nifi.toml"
_FORM = 1
_GROUP = "org.apache.nifi"
# What starts before NiFi's own class loading does.
_CLASS_PATH = frozenset(
    [
        "nifi-api",
        "nifi-framework-api",
        "nifi-nar-utils",
        "nifi-properties",
        "nifi-property-utils",
        "nifi-python-framework-api",
        "nifi-runtime",
        "nifi-server-api",
        "nifi-stateless-api",
        "slf4j-api",
        "jcl-over-slf4j",
        "jul-to-slf4j",
        "log4j-over-slf4j",
        "logback-classic",
        "logback-core",
    ]
)
_FRAMEWORK, _API = "nifi-python-framework", "nifi-python-extension-api"
_STANDARD, _STANDARD_PARENT = "nifi-standard-nar", "nifi-standard-shared-nar"
_UPDATE, _UPDATE_PARENT = "nifi-update-attribute-nar", "nifi-jetty-nar"
# UpdateAttribute alone, and what it shares with the standard processors.
_UPDATE_ONLY = frozenset(
    ["nifi-update-attribute-processor", "nifi-update-attribute-model", "nifi-utils", "caffeine", "commons-lang3"]
)
_UPDATE_TOO = frozenset(
    [
        "jakarta.xml.bind-api",
        "jaxb-runtime",
        "jaxb-core",
        "txw2",
        "istack-commons-runtime",
        "angus-activation",
        "jakarta.activation-api",
        "nifi-xml-processing",
    ]
)


@dataclass(frozen=True, slots=True)
class Assembly:
    """A NiFi that only lacks a home.

    Attributes:
        folder: where it is, in the cache.
        version: of NiFi.
    """

    folder: Path
    version: str

    @property
    def jars(self) -> Path:
        """The JVM's class path."""
        return self.folder / "jars"

    @property
    def nars(self) -> Path:
        """NiFi's own extensions."""
        return self.folder / "nars"

    @property
    def unpacked(self) -> Path:
        """The same, unpacked as in NiFi's working directory."""
        return self.folder / "unpacked"

    @property
    def python(self) -> Path:
        """NiFi's side of Python processors: ``framework`` and ``api``."""
        return self.folder / "python"


def assemble(console: Console | None = None) -> Assembly:
    """NiFi from the cache; fetched and put together before, where it is not there yet.

    Raises:
        SetupError: a file cannot be had, see `fetch`, or the cache cannot be written.
    """
    artifacts = fetch(PINS, console=console)
    pins = read_pins(PINS)
    version = pins.name.rpartition(" ")[2]
    folder = cache_folder() / "nifi" / f"{version}-{pins.digest[:12]}-{_FORM}"
    try:
        with alone(folder.with_name(f"{folder.name}.lock")):
            if not folder.is_dir():
                with during(console, f"putting {pins.name} together (once)"):
                    _build(folder, artifacts, pins, version)
    except OSError as error:
        raise SetupError(
            f"cannot write to {folder}: {error.strerror or error}. "
            "Make room or give the right to write, or choose another folder with PENSTOCK_CACHE.",
            code="CANNOT_FETCH",
        ) from error
    return Assembly(folder, version)


def _build(folder: Path, artifacts: Path, pins: Pins, version: str) -> None:
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    for name in ("jars", "nars", "python"):
        (part / name).mkdir(parents=True)
    jars = [pin for pin in pins.files if pin.packaging == "jar"]
    _link((pin for pin in jars if pin.artifact in _CLASS_PATH), artifacts, part / "jars")
    _link((pin for pin in pins.files if pin.packaging == "nar"), artifacts, part / "nars")
    for pin in jars:
        if pin.artifact in (_FRAMEWORK, _API):
            _unzip(artifacts / pin.filename, part / "python" / ("api" if pin.artifact == _API else ""))
    rest = [pin for pin in jars if pin.artifact not in _CLASS_PATH | {_FRAMEWORK, _API}]
    standard = [artifacts / pin.filename for pin in rest if pin.artifact not in _UPDATE_ONLY]
    update = [artifacts / pin.filename for pin in rest if pin.artifact in _UPDATE_ONLY | _UPDATE_TOO]
    _zip_nar(part / "nars", _STANDARD, version, parent=_STANDARD_PARENT, jars=standard)
    _zip_nar(part / "nars", _UPDATE, version, parent=_UPDATE_PARENT, jars=update)
    for nar in sorted((part / "nars").iterdir()):
        kind = "framework" if nar.name.startswith("nifi-framework-nar") else "extensions"
        _unpack_nar(nar, part / "unpacked" / kind / f"{nar.name}-unpacked")
    part.replace(folder)


def _link(pins: Iterable[Pin], artifacts: Path, target: Path) -> None:
    # Symbolic and relative: a damaged artifact is fetched again under the same name, and a cache can be moved.
    for pin in pins:
        (target / pin.filename).symlink_to(os.path.relpath(artifacts / pin.filename, target))


def _unzip(jar: Path, target: Path) -> None:
    with zipfile.ZipFile(jar) as archive:
        archive.extractall(target, [name for name in archive.namelist() if not name.startswith("META-INF")])


def _zip_nar(target: Path, name: str, version: str, *, parent: str, jars: Iterable[Path]) -> None:
    manifest = {
        "Manifest-Version": "1.0",
        "Nar-Id": name,
        "Nar-Group": _GROUP,
        "Nar-Version": version,
        "Nar-Dependency-Group": _GROUP,
        "Nar-Dependency-Id": parent,
        "Nar-Dependency-Version": version,
        "Clone-During-Instance-Class-Loading": "false",
    }
    lines = "".join(f"{key}: {value}\r\n" for key, value in manifest.items())
    with zipfile.ZipFile(target / f"{name}-{version}.nar", "w") as archive:
        # NiFi unpacks entry by entry and wants each directory named before what is in it.
        for directory in ("META-INF/", "META-INF/bundled-dependencies/"):
            archive.mkdir(directory)
        archive.writestr("META-INF/MANIFEST.MF", f"{lines}\r\n")
        for jar in sorted(jars):
            archive.write(jar, f"META-INF/bundled-dependencies/{jar.name}")


def _unpack_nar(nar: Path, target: Path) -> None:
    # As NiFi's NarUnpacker does; it unpacks again what has no, or another, digest.
    with zipfile.ZipFile(nar) as archive:
        archive.extractall(target)
    (target / "NAR-INF").mkdir(exist_ok=True)
    (target / "META-INF" / "bundled-dependencies").replace(target / "NAR-INF" / "bundled-dependencies")
    with nar.open("rb") as file:
        (target / "nar-digest").write_bytes(hashlib.file_digest(file, "sha256").digest())
