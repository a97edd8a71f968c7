"""Puts a NAR on a running NiFi, its own or the user's, through NiFi's NAR manager: no access to its disk, no restart.

0. Python processors that NiFi has from a folder of extensions already, as the local one does, are left to that: NiFi
   does not take a processor with the same name and version from two places.
1. The NAR is uploaded; NiFi checks its coordinates and answers with an identifier.
2. NiFi installs it in the background; we ask until it is done, or has failed.
3. Python processors are discovered later still; it is done when all of them are on the canvas's list.
"""

from __future__ import annotations

import time
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from penstock.proto.errors import RequestError, ServiceError, SetupError

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.deploy.canvas import Connection

_UPLOAD = 600.0  # seconds; a NAR with its dependencies has tens of megabytes, and NiFi may be far away
_POLL = 0.5
_MANIFEST = "META-INF/MANIFEST.MF"
_FOLDERS = ("org.apache.nifi", "python-extensions")  # the bundle of everything that NiFi finds in folders


@dataclass(frozen=True, slots=True)
class Installed:
    """A NAR that NiFi has taken.

    Attributes:
        address: of the NiFi.
        nar: ``group:artifact:version``; ``org.apache.nifi:python-extensions:version`` where NiFi had all of it before,
            from a folder.
        processors: simple names of the processor types in it, sorted.
    """

    address: str
    nar: str
    processors: tuple[str, ...]


def install(connection: Connection, nar: Path, *, timeout: float = 120.0) -> Installed:
    """Upload a NAR and wait until its processors can be put on the canvas.

    The same NAR again, or a newer build of it, takes the place of the former one.

    Args:
        connection: to the NiFi.
        nar: the file.
        timeout: seconds from the end of the upload until its processors are offered.

    Raises:
        SetupError: the file is not a NAR; NiFi has no NAR manager (before 2.0), refuses the NAR or cannot install it.
        PenstockError: NiFi cannot be reached or wants another login.
        ServiceError: it takes too long.
    """
    expected, version = _python_processors(nar)
    if expected and expected <= _in_folders(connection, version):
        return Installed(connection.address, f"{_FOLDERS[0]}:{_FOLDERS[1]}:{version}", tuple(sorted(expected)))
    deadline = time.monotonic() + timeout
    summary = _upload(connection, nar)
    while not summary["installComplete"]:
        _pause(deadline, f"NiFi at {connection.address} has not installed {nar.name} after {timeout:g} s")
        summary = connection.get(f"/controller/nar-manager/nars/{summary['identifier']}")["narSummary"]
    if summary["state"].upper() != "INSTALLED":
        why = summary.get("failureMessage") or "no reason given"
        raise SetupError(f"NiFi at {connection.address} cannot install {nar.name}: {why}", code="NAR_REFUSED")
    found = _types(connection, summary["identifier"])
    while not expected <= found:
        missing = ", ".join(sorted(expected - found))
        _pause(deadline, f"NiFi at {connection.address} does not offer {missing} {timeout:g} s after {nar.name} came")
        found = _types(connection, summary["identifier"])
    coordinate = summary["coordinate"]
    name = ":".join(coordinate[part] for part in ("group", "artifact", "version"))
    return Installed(connection.address, name, tuple(sorted(found)))


def _python_processors(nar: Path) -> tuple[set[str], str]:
    """What a NAR with Python processors will offer, each file at its root being one of that name; and its version."""
    try:
        with zipfile.ZipFile(nar) as archive:
            names = archive.namelist()
            manifest = archive.read(_MANIFEST).decode() if _MANIFEST in names else ""
    except (OSError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or "not a zip file"
        raise SetupError(f"cannot read {nar} as a NAR: {reason}", code="NAR_REFUSED") from error
    if not manifest:
        raise SetupError(f"{nar} is not a NAR: it has no {_MANIFEST}", code="NAR_REFUSED")
    version = next((line[12:].strip() for line in manifest.splitlines() if line.startswith("Nar-Version:")), "")
    roots = (PurePosixPath(name) for name in names if "/" not in name)
    return {path.stem for path in roots if path.suffix == ".py" and not path.stem.startswith("_")}, version


def _in_folders(connection: Connection, version: str) -> set[str]:
    group, artifact = _FOLDERS
    bundle = {"group": group, "artifact": artifact, "version": version}
    types = connection.get("/flow/processor-types")["processorTypes"]
    return {entry["type"].rpartition(".")[2] for entry in types if entry["bundle"] == bundle}


def _upload(connection: Connection, nar: Path) -> dict[str, Any]:
    try:
        with connection.nipyapi() as nipyapi:
            api = nipyapi.nifi.ControllerApi(connection.client)
            answer = api.upload_nar(nar.read_bytes(), filename=nar.name, _request_timeout=_UPLOAD)
    except RequestError as error:
        if error.http_status == 404:
            raise SetupError(
                f"NiFi at {connection.address} takes no NARs over the network (that came with 2.0): "
                f"copy {nar} into its extensions folder",
                code="NAR_REFUSED",
            ) from error
        raise
    summary = answer.nar_summary
    return dict(connection.get(f"/controller/nar-manager/nars/{summary.identifier}")["narSummary"])


def _types(connection: Connection, identifier: str) -> set[str]:
    details = connection.get(f"/controller/nar-manager/nars/{identifier}/details")
    return {entry["type"].rpartition(".")[2] for entry in details.get("processorTypes") or ()}


def _pause(deadline: float, otherwise: str) -> None:
    if time.monotonic() > deadline:
        raise ServiceError(f"{otherwise}; its log tells more")
    time.sleep(_POLL)
