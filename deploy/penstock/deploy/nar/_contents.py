"""What the bundle holds: the extension files, and the modules they import with everything behind those."""

from __future__ import annotations

import hashlib
import json
import sys
import sysconfig
from dataclasses import dataclass
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from penstock.deploy.nar._closure import PENSTOCK, requirements
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import Distribution

NAR_ID: Final = "penstock-nifi"
NAR_GROUP: Final = "penstock"
DEPENDENCIES: Final = PurePosixPath("NAR-INF/bundled-dependencies")

_OWN: Final = ("penstock.proto", "penstock.http2", "penstock.client", "penstock.processors")
_EXTENSIONS: Final = "extensions"
_BUILT_FOR: Final = "penstock/processors/built-for.json"  # read by penstock.processors.built_for

# Never imported: the tests and benchmarks of others, and what only a compiler or a type checker reads.
_USELESS_FOLDERS: Final = frozenset({"__pycache__", "tests", "benchmarks", "include", "_examples"})
_USELESS_SUFFIXES: Final = frozenset({".pyc", ".pyi", ".pyx", ".pxd", ".a", ".c", ".cc", ".cpp", ".h", ".hpp"})
_USELESS_RECORDS: Final = frozenset(
    {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_build.json", "uv_cache.json"}
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the bundle.

    Attributes:
        target: its place in the bundle, with ``/``.
        digest: changes whenever its content does.
        source: the file that it is a copy of; None for one made here.
        content: of one made here.
    """

    target: str
    digest: str
    source: Path | None = None
    content: bytes = b""

    def read(self) -> bytes:
        """The content."""
        return self.source.read_bytes() if self.source else self.content


def contents() -> list[Entry]:
    """All files of the bundle but its manifest, sorted.

    Raises:
        SetupError: something that belongs into it is not installed here as files.
    """
    entries = [_made(str(DEPENDENCIES / _BUILT_FOR), json.dumps(built_for()).encode())]
    for package in _OWN:
        entries += _own(package)
    entries += _records(distribution(PENSTOCK))
    for found in requirements():
        entries += _foreign(found)
    return sorted(entries, key=lambda entry: entry.target)


def built_for() -> dict[str, str]:
    """What the compiled modules of the bundle fit: this Python on this platform."""
    return {
        "bundle": f"{NAR_ID} {version()}",
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "implementation": sys.implementation.name,
        "platform": sysconfig.get_platform(),
    }


def version() -> str:
    """Penstock's."""
    return distribution(PENSTOCK).version


def _made(target: str, content: bytes) -> Entry:
    return Entry(target, hashlib.sha256(content).hexdigest(), content=content)


def _own(package: str) -> Iterator[Entry]:
    # Found without importing it, and as files, since an editable install's metadata does not list them.
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SetupError(f"{package} is not installed here")
    root = Path(spec.submodule_search_locations[0])
    for path in root.rglob("*"):
        inside = PurePosixPath(path.relative_to(root).as_posix())
        if not path.is_file() or not _useful(inside):
            continue
        if package == "penstock.processors" and inside.parts[0] == _EXTENSIONS:
            target = PurePosixPath(inside.name)
        else:
            target = DEPENDENCIES / package.replace(".", "/") / inside
        yield Entry(str(target), hashlib.sha256(path.read_bytes()).hexdigest(), path)


def _records(found: Distribution) -> Iterator[Entry]:
    """Name, version and licence, without the files themselves."""
    return (entry for entry in _foreign(found) if ".dist-info/" in entry.target)


def _foreign(found: Distribution) -> Iterator[Entry]:
    if not found.files:
        raise SetupError(f"{found.name} is not installed here as a wheel, so its files are not known")
    for file in found.files:
        inside = PurePosixPath(file)
        if ".." in inside.parts or not _useful(inside):  # commands are outside
            continue
        digest = file.hash.value if file.hash else ""
        yield Entry(str(DEPENDENCIES / inside), f"{found.version} {digest}", Path(str(found.locate_file(file))))


def _useful(inside: PurePosixPath) -> bool:
    if inside.parts[0].endswith(".dist-info"):
        return inside.name not in _USELESS_RECORDS
    return inside.suffix not in _USELESS_SUFFIXES and _USELESS_FOLDERS.isdisjoint(inside.parts)
